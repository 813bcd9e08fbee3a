// Validate a glTF with Khronos' validator; print what it found as JSON.
import { readFileSync } from 'node:fs';
import validator from 'gltf-validator';

const data = new Uint8Array(readFileSync(process.argv[2]));
const report = await validator.validateBytes(data, { maxIssues: 0 });
console.log(JSON.stringify({ issues: report.issues.messages, info: report.info }));
