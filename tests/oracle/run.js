// Runs cases through ONNX Runtime: node run.js NODE_MODULES DIR...
// Reads DIR/model.onnx and DIR/in/NAME.npy; writes DIR/ort/NAME.npy, or DIR/ort/error.txt.
'use strict';
const fs = require('fs');
const path = require('path');
const ort = require(path.resolve(process.argv[2], 'onnxruntime-node'));

const TYPES = {  // npy: [ONNX Runtime's name, array]
  '<f4': ['float32', Float32Array], '<i4': ['int32', Int32Array], '<i8': ['int64', BigInt64Array],
  '|b1': ['bool', Uint8Array], '|u1': ['uint8', Uint8Array], '|i1': ['int8', Int8Array],
};

function readNpy(file) {
  const bytes = fs.readFileSync(file);
  const length = bytes.readUInt16LE(8);
  const header = bytes.toString('latin1', 10, 10 + length);
  const [name, Array] = TYPES[/'descr': '([^']+)'/.exec(header)[1]];
  const shape = (/'shape': \(([^)]*)\)/.exec(header)[1].match(/\d+/g) || []).map(Number);
  const data = bytes.subarray(10 + length);
  const copy = data.buffer.slice(data.byteOffset, data.byteOffset + data.length);
  return new ort.Tensor(name, new Array(copy), shape);
}

function writeNpy(file, tensor) {
  const descr = Object.keys(TYPES).find(key => TYPES[key][0] === tensor.type);
  if (!descr) throw new Error('output of type ' + tensor.type);
  const dims = tensor.dims.join(', ') + (tensor.dims.length === 1 ? ',' : '');
  let header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${dims}), }`;
  header += ' '.repeat(63 - (10 + header.length) % 64) + '\n';
  const start = Buffer.from('\x93NUMPY\x01\x00\x00\x00', 'latin1');
  start.writeUInt16LE(header.length, 8);
  const {buffer, byteOffset, byteLength} = tensor.data;
  fs.writeFileSync(file, Buffer.concat([start, Buffer.from(header, 'latin1'),
                                        Buffer.from(buffer, byteOffset, byteLength)]));
}

async function runCase(dir) {
  const out = path.join(dir, 'ort');
  fs.mkdirSync(out, {recursive: true});
  try {
    const session = await ort.InferenceSession.create(path.join(dir, 'model.onnx'), {
      graphOptimizationLevel: 'disabled', intraOpNumThreads: 1, interOpNumThreads: 1,
      logSeverityLevel: 3,
    });
    const feeds = {};
    for (const name of session.inputNames)
      feeds[name] = readNpy(path.join(dir, 'in', name + '.npy'));
    const results = await session.run(feeds);
    for (const name of session.outputNames)
      writeNpy(path.join(out, name + '.npy'), results[name]);
    await session.release();
  } catch (error) {
    fs.writeFileSync(path.join(out, 'error.txt'), String(error.message || error));
  }
}

(async () => {
  for (const dir of process.argv.slice(3))
    await runCase(dir);
})();
