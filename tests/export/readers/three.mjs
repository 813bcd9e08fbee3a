// Load a glTF with three's loader, move it to a time of an animation, and print joints and
// skinned vertices of the mesh called "body" as JSON.
import { readFileSync } from 'node:fs';
import { AnimationMixer, Vector3 } from 'three';
import { GLTFLoader } from 'three/addons/loaders/GLTFLoader.js';

// What the loader wants of a browser to open a texture; nothing here looks at the picture.
globalThis.self = globalThis;
globalThis.ProgressEvent = class extends Event {};
globalThis.createImageBitmap = async () => ({ width: 1, height: 1, close() {} });

const [file, name, time] = process.argv.slice(2);
const data = readFileSync(file);
const bytes = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
const gltf = await new GLTFLoader().parseAsync(bytes, '');
const clip = gltf.animations.find((one) => one.name === name);
const mixer = new AnimationMixer(gltf.scene);
mixer.clipAction(clip).play();
mixer.setTime(Number(time));
gltf.scene.updateMatrixWorld(true);

const joints = {};
const vertices = [];
let points = 0;
gltf.scene.traverse((node) => {
  if (node.isBone || node.name === 'pelvis') joints[node.name] = node.getWorldPosition(new Vector3()).toArray();
  if (node.isPoints) points = node.geometry.attributes.position.count;
  if (node.isSkinnedMesh && node.name === 'body') {
    for (let k = 0; k < node.geometry.attributes.position.count; k += 97) {
      const at = node.getVertexPosition(k, new Vector3());
      vertices.push([k, ...node.localToWorld(at).toArray()]);
    }
  }
});
const names = gltf.animations.map((one) => one.name);
console.log(JSON.stringify({ joints, vertices, points, names, asset: gltf.asset }));
