/** Draw a posed avatar with WebGL2: one pass over the Gaussians, one over their ellipses. */

import { packRecords, type Asset } from "./asset";
import { FLESH_WIDTH, JOINTS, type Body } from "./body";
import { NODE_COLUMNS, type Cloth } from "./cloth";
import { compilePrograms, type Programs } from "./shaders";

const RECORD_WIDTH = 2048;
const TEXELS = 6;
/** Floats that the first pass leaves for each Gaussian. */
const POSED_FLOATS = 11;
/** How far beyond the picture's edge the affine map is taken, as persona does. */
const OFF_AXIS_MARGIN = 0.15;
/** Fingers and eyes, which come last, cast none. */
const SHADOW = { joints: 22, sharpest: 0.07, spread: 0.2, reach: 0.3, darkness: 0.34 };

/** A pinhole camera in pixels of the canvas. */
export interface Camera {
  /** T_camera_world, three rows of four. */
  rows: Float32Array;
  focal: number;
  center: [number, number];
}

export interface Scene {
  camera: Camera;
  /** Middle and rim, sRGB; null leaves it transparent. */
  background: [number[], number[]] | null;
  /** Nine harmonics; null keeps the colours of the photo. */
  light: number[] | null;
  shadow: boolean;
}

export class Drawing {
  readonly gl: WebGL2RenderingContext;
  private programs!: Programs;
  private uniforms = new Map<WebGLProgram, Map<string, WebGLUniformLocation | null>>();
  private textures!: Record<"records" | "bones" | "flesh" | "nodes", WebGLTexture>;
  private ids!: WebGLBuffer;
  private posed!: WebGLBuffer;
  private blobs!: WebGLBuffer;
  private feedback!: WebGLTransformFeedback;
  private arrays!: Record<"pose" | "splat" | "shadow" | "background", WebGLVertexArrayObject>;
  private readonly records: Uint32Array;

  constructor(
    readonly canvas: HTMLCanvasElement,
    private readonly asset: Asset,
    private readonly body: Body,
    private readonly cloth: Cloth | null,
  ) {
    const gl = canvas.getContext("webgl2", {
      alpha: true, antialias: false, depth: false, premultipliedAlpha: true,
      preserveDrawingBuffer: true, powerPreference: "high-performance",
    });
    if (gl === null)
      throw new Error("This browser has no WebGL2, which drawing needs. Try a current Chrome, Firefox or Safari, or `persona serve --render server`.");
    this.gl = gl;
    this.records = packRecords(asset);
    this.prepare();
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => this.prepare());
  }

  /** New bones, flesh and cloth, after `body.bend`. */
  setPose(): void {
    const { gl, body, cloth } = this;
    const put = (texture: WebGLTexture, width: number, height: number, data: Float32Array) => {
      gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, gl.RGBA, gl.FLOAT, data);
    };
    gl.activeTexture(gl.TEXTURE0);
    put(this.textures.bones, 3, JOINTS, body.bones);
    put(this.textures.flesh, FLESH_WIDTH, body.fleshRows, body.flesh);
    if (cloth) put(this.textures.nodes, NODE_COLUMNS, cloth.count, cloth.nodes);
  }

  /** New order, from far to near. */
  setOrder(ids: Uint32Array): void {
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.ids);
    this.gl.bufferSubData(this.gl.ARRAY_BUFFER, 0, ids);
  }

  draw(scene: Scene): void {
    const { gl } = this;
    if (gl.isContextLost()) return;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.BLEND);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (scene.background) this.drawBackground(scene.background);
    this.poseAndProject(scene);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    if (scene.shadow) this.drawShadow(scene.camera);
    gl.useProgram(this.programs.splat);
    gl.bindVertexArray(this.arrays.splat);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, this.asset.count);
    gl.bindVertexArray(null);
  }

  private drawBackground([inner, outer]: [number[], number[]]): void {
    const { gl } = this;
    const program = this.programs.background;
    gl.useProgram(program);
    gl.uniform3fv(this.at(program, "inner"), inner);
    gl.uniform3fv(this.at(program, "outer"), outer);
    gl.bindVertexArray(this.arrays.background);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  /** The first pass: every Gaussian once, in order, into a buffer. */
  private poseAndProject(scene: Scene): void {
    const { gl, asset } = this;
    const program = this.programs.pose;
    gl.useProgram(program);
    (["records", "bones", "flesh", "nodes"] as const).forEach((name, unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, this.textures[name]);
      gl.uniform1i(this.at(program, name), unit);
    });
    gl.uniform1i(this.at(program, "dressed"), this.cloth ? 1 : 0);
    this.setScale(program, "means", "mean");
    this.setScale(program, "log_scales", "scale");
    this.setScale(program, "albedo_roots", "albedo");
    this.setCamera(program, scene.camera);
    const size = [this.canvas.width, this.canvas.height];
    const { focal, center } = scene.camera;
    const low = size.map((length, k) => -(center[k]! + OFF_AXIS_MARGIN * length) / focal);
    const high = size.map((length, k) => (length - center[k]! + OFF_AXIS_MARGIN * length) / focal);
    gl.uniform2fv(this.at(program, "limitLow"), low);
    gl.uniform2fv(this.at(program, "limitHigh"), high);
    gl.uniform1f(this.at(program, "splatScale"), 1);
    gl.uniform1i(this.at(program, "lit"), scene.light ? 1 : 0);
    if (scene.light) gl.uniform1fv(this.at(program, "light"), scene.light);
    gl.bindVertexArray(this.arrays.pose);
    gl.bindTransformFeedback(gl.TRANSFORM_FEEDBACK, this.feedback);
    gl.enable(gl.RASTERIZER_DISCARD);
    gl.beginTransformFeedback(gl.POINTS);
    gl.drawArrays(gl.POINTS, 0, asset.count);
    gl.endTransformFeedback();
    gl.disable(gl.RASTERIZER_DISCARD);
    gl.bindTransformFeedback(gl.TRANSFORM_FEEDBACK, null);
  }

  private setScale(program: WebGLProgram, name: string, uniform: string): void {
    const scale = this.asset.head.scales[name]!;
    this.gl.uniform3fv(this.at(program, `${uniform}Low`), scale.low);
    this.gl.uniform3fv(this.at(program, `${uniform}Step`), scale.step);
  }

  private setCamera(program: WebGLProgram, camera: Camera): void {
    const { gl } = this;
    const r = camera.rows;
    gl.uniformMatrix4fv(this.at(program, "view"), false, [
      r[0]!, r[4]!, r[8]!, 0, r[1]!, r[5]!, r[9]!, 0,
      r[2]!, r[6]!, r[10]!, 0, r[3]!, r[7]!, r[11]!, 1,
    ]);
    gl.uniform2f(this.at(program, "focal"), camera.focal, camera.focal);
    gl.uniform2f(this.at(program, "center"), ...camera.center);
    gl.uniform2f(this.at(program, "size"), this.canvas.width, this.canvas.height);
  }

  /** Soft darkness on the floor under joints that are near to it. */
  private drawShadow(camera: Camera): void {
    const { gl, body } = this;
    const blobs = new Float32Array(4 * SHADOW.joints);
    for (let j = 0; j < SHADOW.joints; j++) {
      const height = Math.max(body.places[3 * j + 1]!, 0);
      const spread = SHADOW.sharpest + SHADOW.spread * height;
      const near = Math.exp(-height / SHADOW.reach) * (SHADOW.sharpest / spread);
      blobs.set(
        [body.places[3 * j]!, body.places[3 * j + 2]!, spread, 2 * SHADOW.darkness * near],
        4 * j,
      );
    }
    const program = this.programs.shadow;
    gl.useProgram(program);
    this.setCamera(program, camera);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.blobs);
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, blobs);
    gl.bindVertexArray(this.arrays.shadow);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, SHADOW.joints);
  }

  private at(program: WebGLProgram, name: string): WebGLUniformLocation | null {
    let known = this.uniforms.get(program);
    if (!known) this.uniforms.set(program, (known = new Map()));
    if (!known.has(name)) known.set(name, this.gl.getUniformLocation(program, name));
    return known.get(name) ?? null;
  }

  /** Make everything that lives on the GPU; again after it was lost. */
  private prepare(): void {
    const { gl, asset, body, cloth } = this;
    this.uniforms.clear();
    this.programs = compilePrograms(gl);
    const rows = Math.ceil((asset.count * TEXELS) / RECORD_WIDTH);
    const whole = new Uint32Array(4 * RECORD_WIDTH * rows);
    whole.set(this.records);
    this.textures = {
      records: this.texture(gl.RGBA32UI, RECORD_WIDTH, rows, gl.RGBA_INTEGER, gl.UNSIGNED_INT, whole),
      bones: this.texture(gl.RGBA32F, 3, JOINTS, gl.RGBA, gl.FLOAT, null),
      flesh: this.texture(gl.RGBA32F, FLESH_WIDTH, body.fleshRows, gl.RGBA, gl.FLOAT, null),
      nodes: this.texture(gl.RGBA32F, NODE_COLUMNS, cloth?.count ?? 1, gl.RGBA, gl.FLOAT, null),
    };
    this.ids = this.buffer(4 * asset.count, gl.DYNAMIC_DRAW);
    this.posed = this.buffer(4 * POSED_FLOATS * asset.count, gl.DYNAMIC_COPY);
    this.blobs = this.buffer(16 * SHADOW.joints, gl.DYNAMIC_DRAW);
    const corners = this.buffer(32, gl.STATIC_DRAW);
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]));
    this.feedback = gl.createTransformFeedback()!;
    gl.bindBuffer(gl.ARRAY_BUFFER, null);
    gl.bindTransformFeedback(gl.TRANSFORM_FEEDBACK, this.feedback);
    gl.bindBufferBase(gl.TRANSFORM_FEEDBACK_BUFFER, 0, this.posed);
    gl.bindTransformFeedback(gl.TRANSFORM_FEEDBACK, null);
    gl.bindBuffer(gl.TRANSFORM_FEEDBACK_BUFFER, null);
    this.arrays = {
      pose: this.layout(() => {
        gl.bindBuffer(gl.ARRAY_BUFFER, this.ids);
        gl.enableVertexAttribArray(0);
        gl.vertexAttribIPointer(0, 1, gl.UNSIGNED_INT, 0, 0);
      }),
      splat: this.layout(() => {
        this.attribute(corners, 0, 2, 0, 0, 0);
        [4, 4, 3].reduce((offset, width, k) => {
          this.attribute(this.posed, k + 1, width, 4 * POSED_FLOATS, offset, 1);
          return offset + 4 * width;
        }, 0);
      }),
      shadow: this.layout(() => {
        this.attribute(corners, 0, 2, 0, 0, 0);
        this.attribute(this.blobs, 1, 4, 0, 0, 1);
      }),
      background: this.layout(() => this.attribute(corners, 0, 2, 0, 0, 0)),
    };
    gl.bindBuffer(gl.ARRAY_BUFFER, null);
  }

  private texture(
    kind: number, width: number, height: number, format: number, type: number,
    data: ArrayBufferView | null,
  ): WebGLTexture {
    const { gl } = this;
    const texture = gl.createTexture()!;
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, kind, width, height, 0, format, type, data);
    for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER])
      gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
    for (const wrap of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T])
      gl.texParameteri(gl.TEXTURE_2D, wrap, gl.CLAMP_TO_EDGE);
    return texture;
  }

  private buffer(bytes: number, use: number): WebGLBuffer {
    const buffer = this.gl.createBuffer()!;
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, buffer);
    this.gl.bufferData(this.gl.ARRAY_BUFFER, bytes, use);
    return buffer;
  }

  private layout(describe: () => void): WebGLVertexArrayObject {
    const array = this.gl.createVertexArray()!;
    this.gl.bindVertexArray(array);
    describe();
    this.gl.bindVertexArray(null);
    return array;
  }

  private attribute(
    buffer: WebGLBuffer, at: number, width: number, stride: number, offset: number, divisor: number,
  ): void {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, width, gl.FLOAT, false, stride, offset);
    gl.vertexAttribDivisor(at, divisor);
  }
}
