// Greedy decoding with a cache: node generate_tokens.js NODE_MODULES MODEL TOKEN,TOKEN,... COUNT
// Prints the tokens. Inputs past_* start with a past of 0; outputs present_* become them.
'use strict';
const path = require('path');
const [modules, model, prompt, count] = process.argv.slice(2);
const ort = require(path.resolve(modules, 'onnxruntime-node'));

(async () => {
  const session = await ort.InferenceSession.create(model, {
    graphOptimizationLevel: 'disabled', intraOpNumThreads: 1, logSeverityLevel: 3,
  });
  const feeds = {};
  for (const {name, type, shape} of session.inputMetadata)
    if (name.startsWith('past_'))
      feeds[name] = new ort.Tensor(type, new Float32Array(0),
                                   shape.map((d, i) => typeof d === 'number' ? d : i === 0 ? 1 : 0));
  let tokens = prompt.split(',').map(Number);
  const generated = [];
  while (generated.length < Number(count)) {
    feeds.input_ids = new ort.Tensor('int64', BigInt64Array.from(tokens, BigInt),
                                     [1, tokens.length]);
    const results = await session.run(feeds);
    const {data, dims} = results.logits;
    const last = Array.from(data.slice(data.length - dims[dims.length - 1]));
    tokens = [last.indexOf(Math.max(...last))];
    generated.push(tokens[0]);
    for (const name of session.outputNames)
      if (name.startsWith('present_'))
        feeds[name.replace('present_', 'past_')] = results[name];
  }
  console.log(generated.join(' '));
})();
