/**
 * The three programs: pose and project Gaussians (once each), draw them as ellipses, draw shadows.
 * They follow persona's `posing_reference`, `projection_reference` and `rasterize_reference`.
 */

const POSE_VERTEX = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
precision highp sampler2D;
uniform usampler2D records;   // six texels a Gaussian
uniform sampler2D bones;      // three rows a bone
uniform sampler2D flesh;      // one texel a vertex
uniform sampler2D nodes;      // offset and slope of the cloth, three texels a node
uniform bool dressed;
uniform vec3 meanLow, meanStep, scaleLow, scaleStep, albedoLow, albedoStep;
uniform mat4 view;            // T_camera_world: x right, y down, z forward
uniform vec2 focal, center, size, limitLow, limitHigh;
uniform bool lit;
uniform float light[9];
uniform float splatScale;
layout(location = 0) in uint id;
flat out vec4 place;          // centre [ndc], radius [sd], opacity
flat out vec4 axes;           // half axes of one standard deviation [ndc]
flat out vec3 color;

const float EPS2D = 0.3;
const float NEAR = 0.01;
const float MAX_STRETCH = 3.0;

uvec4 record(int texel) {
  int at = int(id) * 6 + texel;
  return texelFetch(records, ivec2(at & 2047, at >> 11), 0);
}
vec2 low16(uint word) { return vec2(float(word & 0xffffu), float(word >> 16)); }
int byteAt(uint word, int k) { return int((word >> (8 * k)) & 0xffu); }
float signedByte(uint word, int k) { return float(int(word << (24 - 8 * k)) >> 24); }
vec3 fleshAt(uint vertex) {
  return texelFetch(flesh, ivec2(int(vertex & 255u), int(vertex >> 8)), 0).xyz;
}
vec3 fromLinear(vec3 c) {
  c = clamp(c, 0.0, 1.0);
  return mix(12.92 * c, 1.055 * pow(max(c, 0.0031308), vec3(1.0 / 2.4)) - 0.055,
             step(0.0031308, c));
}
float shade(vec3 n) {
  float total = light[0] * 0.28209479 + 0.48860251 * (light[1] * n.y + light[2] * n.z
    + light[3] * n.x) + 1.09254843 * (light[4] * n.x * n.y + light[5] * n.y * n.z
    + light[7] * n.x * n.z) + light[6] * 0.31539157 * (3.0 * n.z * n.z - 1.0)
    + light[8] * 0.54627422 * (n.x * n.x - n.y * n.y);
  return max(total, 0.05);
}

void hide() {
  place = vec4(9.0, 9.0, 0.0, 0.0);
  axes = vec4(0.0);
  color = vec3(0.0);
}

void main() {
  uvec4 r0 = record(0), r1 = record(1), r2 = record(2), r3 = record(3), r4 = record(4),
        r5 = record(5);
  vec3 mean = meanLow + meanStep * vec3(low16(r0.x), float(r0.y & 0xffffu));
  vec3 scale = exp(scaleLow + scaleStep * vec3(float(r0.y >> 16), low16(r0.z)));
  vec4 q = normalize(vec4(unpackSnorm2x16(r0.w), unpackSnorm2x16(r1.x)));
  float w = q.x, x = q.y, y = q.z, z = q.w;
  vec3 t1 = vec3(1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y));
  vec3 t2 = vec3(2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x));

  // Flesh under the Gaussian, then cloth.
  vec3 shares = vec3(float(r1.z >> 16), low16(r1.w)) / 65535.0;
  mean += shares.x * fleshAt(r1.y & 0xffffu) + shares.y * fleshAt(r1.y >> 16)
    + shares.z * fleshAt(r1.z & 0xffffu);
  if (dressed) {
    vec4 held = vec4(low16(r5.w), float(r4.w >> 16), 0.0) / 65535.0;
    if (held.x > 0.0) {
      held.w = max(1.0 - held.x - held.y - held.z, 0.0);
      vec4 a = vec4(0.0), b = vec4(0.0), c = vec4(0.0);
      uvec4 holders = uvec4(r5.y & 0xffffu, r5.y >> 16, r5.z & 0xffffu, r5.z >> 16);
      for (int k = 0; k < 4; k++) {
        int row = int(holders[k]);
        a += held[k] * texelFetch(nodes, ivec2(0, row), 0);
        b += held[k] * texelFetch(nodes, ivec2(1, row), 0);
        c += held[k] * texelFetch(nodes, ivec2(2, row), 0);
      }
      mean += a.xyz;
      vec3 s0 = vec3(a.w, b.xy), s1 = vec3(b.zw, c.x), s2 = c.yzw;
      t1 += vec3(dot(s0, t1), dot(s1, t1), dot(s2, t1));
      t2 += vec3(dot(s0, t2), dot(s1, t2), dot(s2, t2));
    }
  }

  // Skinning, and its derivative along the surface. Bones are taken relative to the posed mean:
  // weight gradients sum to zero, and what rounding left of them must not lever on the world.
  vec4 home = vec4(mean, 1.0);
  vec3 weights01 = vec3(low16(r2.x), float(r2.y & 0xffffu)) / 65535.0;
  vec3 weights35 = vec3(float(r2.y >> 16), low16(r2.z)) / 65535.0;
  float weight[6] = float[6](weights01.x, weights01.y, weights01.z,
                             weights35.x, weights35.y, weights35.z);
  int ids[6] = int[6](byteAt(r2.w, 0), byteAt(r2.w, 1), byteAt(r2.w, 2), byteAt(r2.w, 3),
                      byteAt(r3.x, 0), byteAt(r3.x, 1));
  vec4 m0 = vec4(0.0), m1 = vec4(0.0), m2 = vec4(0.0);
  vec3 carried[6];
  for (int k = 0; k < 6; k++) {
    vec4 b0 = texelFetch(bones, ivec2(0, ids[k]), 0);
    vec4 b1 = texelFetch(bones, ivec2(1, ids[k]), 0);
    vec4 b2 = texelFetch(bones, ivec2(2, ids[k]), 0);
    m0 += weight[k] * b0; m1 += weight[k] * b1; m2 += weight[k] * b2;
    carried[k] = vec3(dot(b0, home), dot(b1, home), dot(b2, home));
  }
  vec3 posed = vec3(dot(m0, home), dot(m1, home), dot(m2, home));
  mat3 F = transpose(mat3(m0.xyz, m1.xyz, m2.xyz));
  float gradientStep = uintBitsToFloat(r5.x);
  uint grads[5] = uint[5](r3.w, r4.x, r4.y, r4.z, r4.w);
  for (int k = 0; k < 6; k++) {
    vec3 g;
    for (int c = 0; c < 3; c++) {
      int at = 3 * k + c;
      g[c] = signedByte(grads[at >> 2], at & 3);
    }
    F += outerProduct(carried[k] - posed, gradientStep * g);
  }

  vec3 u = F * t1, v = F * t2;
  u *= min(MAX_STRETCH / max(length(u), 1e-9), 1.0);
  v *= min(MAX_STRETCH / max(length(v), 1e-9), 1.0);
  vec3 across = cross(u, v);
  vec3 normal = across / max(length(across), 1e-12);

  // The affine picture of the three axes.
  vec3 eye = (view * vec4(posed, 1.0)).xyz;
  if (eye.z <= NEAR) { hide(); return; }
  vec2 tangent = eye.xy / eye.z;
  vec2 held = clamp(tangent, limitLow, limitHigh);
  mat3 R = mat3(view);
  vec3 ru = R * u * scale.x, rv = R * v * scale.y, rn = R * normal * scale.z;
  vec2 f = splatScale * focal / eye.z;
  vec2 a = f * (ru.xy - held * ru.z), b = f * (rv.xy - held * rv.z), c = f * (rn.xy - held * rn.z);
  float xx = a.x * a.x + b.x * b.x + c.x * c.x + EPS2D;
  float xy = a.x * a.y + b.x * b.y + c.x * c.y;
  float yy = a.y * a.y + b.y * b.y + c.y * c.y + EPS2D;
  float middle = 0.5 * (xx + yy);
  float apart = length(vec2(0.5 * (xx - yy), xy));
  float large = middle + apart, small = max(middle - apart, 1e-4);
  vec2 way = apart < 1e-6 ? vec2(1.0, 0.0)
    : normalize(abs(xx - large) > abs(yy - large) ? vec2(xy, large - xx) : vec2(large - yy, xy));
  vec2 major = sqrt(large) * way, minor = sqrt(small) * vec2(-way.y, way.x);
  vec2 toNdc = vec2(2.0, -2.0) / size;
  float opacity = float(byteAt(r3.z, 3)) / 255.0;
  vec2 ndc = (focal * tangent + center) * toNdc + vec2(-1.0, 1.0);
  // Where it falls below 1/255, nothing is drawn.
  float radius = sqrt(2.0 * max(log(255.0 * max(opacity, 1.0 / 255.0)), 0.0));
  place = vec4(ndc, radius, opacity);
  axes = vec4(major * toNdc, minor * toNdc);
  if (lit) {
    vec3 root = albedoLow + albedoStep
      * vec3(float(byteAt(r3.x, 2)), float(byteAt(r3.x, 3)), float(byteAt(r3.y, 0)));
    vec3 rest = vec3(signedByte(r3.y, 1), signedByte(r3.y, 2), signedByte(r3.y, 3));
    // Normals go by the cofactors of the derivative: columns crossed with each other.
    vec3 turned = normalize(rest.x * cross(F[1], F[2]) + rest.y * cross(F[2], F[0])
      + rest.z * cross(F[0], F[1]));
    color = fromLinear(root * root * shade(turned));
  } else {
    color = vec3(float(byteAt(r3.z, 0)), float(byteAt(r3.z, 1)), float(byteAt(r3.z, 2))) / 255.0;
  }
  gl_Position = vec4(0.0);
}`;

const NOTHING_FRAGMENT = `#version 300 es
precision highp float;
out vec4 unused;
void main() { unused = vec4(0.0); }`;

const SPLAT_VERTEX = `#version 300 es
precision highp float;
layout(location = 0) in vec2 corner;
layout(location = 1) in vec4 place;
layout(location = 2) in vec4 axes;
layout(location = 3) in vec3 color;
out vec2 point;
flat out vec4 paint;
void main() {
  point = corner * place.z;
  paint = vec4(color, place.w);
  gl_Position = vec4(place.xy + point.x * axes.xy + point.y * axes.zw, 0.0, 1.0);
}`;

const SPLAT_FRAGMENT = `#version 300 es
precision highp float;
in vec2 point;
flat in vec4 paint;
out vec4 shown;
void main() {
  float alpha = min(paint.a * exp(-0.5 * dot(point, point)), 0.99);
  if (alpha < 1.0 / 255.0) discard;
  shown = vec4(paint.rgb * alpha, alpha);
}`;

const SHADOW_VERTEX = `#version 300 es
precision highp float;
uniform mat4 view;
uniform vec2 focal, center, size;
layout(location = 0) in vec2 corner;
layout(location = 1) in vec4 blob; // x, z on the floor [m], spread [m], darkness
out vec2 point;
flat out float dark;
void main() {
  point = 3.0 * corner;
  dark = blob.w;
  vec2 floorAt = blob.xy + point * blob.z;
  vec3 eye = (view * vec4(floorAt.x, 0.0, floorAt.y, 1.0)).xyz;
  vec2 ndc = (focal * eye.xy + center * eye.z) * vec2(2.0, -2.0) / size + vec2(-1.0, 1.0) * eye.z;
  gl_Position = vec4(ndc, 0.0, eye.z);
}`;

const SHADOW_FRAGMENT = `#version 300 es
precision highp float;
in vec2 point;
flat in float dark;
out vec4 shown;
void main() { 
  // Down to nothing at the rim of three standard deviations.
  shown = vec4(0.0, 0.0, 0.0, dark * max(exp(-0.5 * dot(point, point)) - 0.0112, 0.0));
}`;

const BACKGROUND_VERTEX = `#version 300 es
precision highp float;
layout(location = 0) in vec2 corner;
out vec2 at;
void main() { at = corner; gl_Position = vec4(corner, 0.0, 1.0); }`;

const BACKGROUND_FRAGMENT = `#version 300 es
precision highp float;
uniform vec3 inner, outer;
in vec2 at;
out vec4 shown;
void main() {
  float far = smoothstep(0.0, 1.3, length((at - vec2(0.0, -0.1)) * vec2(0.9, 0.8)));
  // A grain below one step of 8 bits, or the gradient shows rings.
  float grain = fract(sin(dot(gl_FragCoord.xy, vec2(12.9898, 78.233))) * 43758.5453) - 0.5;
  shown = vec4(mix(inner, outer, far) + grain / 255.0, 1.0);
}`;

export interface Programs {
  pose: WebGLProgram;
  splat: WebGLProgram;
  shadow: WebGLProgram;
  background: WebGLProgram;
}

export function compilePrograms(gl: WebGL2RenderingContext): Programs {
  return {
    pose: link(gl, POSE_VERTEX, NOTHING_FRAGMENT, ["place", "axes", "color"]),
    splat: link(gl, SPLAT_VERTEX, SPLAT_FRAGMENT),
    shadow: link(gl, SHADOW_VERTEX, SHADOW_FRAGMENT),
    background: link(gl, BACKGROUND_VERTEX, BACKGROUND_FRAGMENT),
  };
}

function link(
  gl: WebGL2RenderingContext, vertex: string, fragment: string, captured?: string[],
): WebGLProgram {
  const program = gl.createProgram()!;
  for (const [kind, text] of [
    [gl.VERTEX_SHADER, vertex],
    [gl.FRAGMENT_SHADER, fragment],
  ] as const) {
    const shader = gl.createShader(kind)!;
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost())
      throw new Error(`A shader was refused: ${gl.getShaderInfoLog(shader)}`);
    gl.attachShader(program, shader);
  }
  if (captured) gl.transformFeedbackVaryings(program, captured, gl.INTERLEAVED_ATTRIBS);
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost())
    throw new Error(`A program was refused: ${gl.getProgramInfoLog(program)}`);
  return program;
}
