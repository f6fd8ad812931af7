//===- Steps.cpp - Models with state, run step by step ------------------------===//

#include "compiler/driver/Steps.h"
#include "runtime/onnx/Errors.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"

using llvm::Expected;
using llvm::StringRef;

namespace npucc {

static bool hasName(const Graph &graph, const std::vector<ValueId> &ids, StringRef name) {
  return llvm::any_of(ids, [&](ValueId id) { return graph.values[id].name == name; });
}

llvm::Error Steps::readFeeds(const Graph &graph) {
  llvm::StringSet<> fed;
  for (const std::string &text : settings.feeds) {
    auto feed = splitBinding("--feed", text);
    if (!feed)
      return feed.takeError();
    const auto &[output, input] = *feed;
    if (!hasName(graph, graph.outputs, output))
      return makeError("--feed {0}: the graph has no output {1}", quoted(text), quoted(output));
    if (!hasName(graph, graph.inputs, input))
      return makeError("--feed {0}: the graph has no input {1}", quoted(text), quoted(input));
    if (!fed.insert(input).second)
      return makeError("--feed: input {0} is fed twice", quoted(input));
    feeds.push_back(std::move(*feed));
  }
  return llvm::Error::success();
}

/// As exporters name them: present_0_k and past_0_k, present.0.key and past_key_values.0.key.
void Steps::pairCaches(const Graph &graph) {
  for (ValueId id : graph.outputs) {
    StringRef output = graph.values[id].name, rest = output;
    if (!rest.consume_front("present"))
      continue;
    for (StringRef past : {"past", "past_key_values"})
      if (std::string input = (past + rest).str(); hasName(graph, graph.inputs, input)) {
        feeds.emplace_back(output.str(), input);
        settings.feeds.push_back(feeds.back().first + "=" + feeds.back().second);
        break;
      }
  }
}

llvm::Error Steps::readPrompt(const Graph &graph) {
  Expected<Tensor> prompt = readNpy(settings.prompt);
  if (!prompt)
    return prompt.takeError();
  bool row = prompt->rank() == 1 || (prompt->rank() == 2 && prompt->shape()[0] == 1);
  if (!isInteger(prompt->type()) || !row || prompt->size() == 0)
    return makeError("--prompt {0}: expected token ids, integers of shape [S] or [1,S]",
                     quoted(settings.prompt));
  for (int64_t i = 0; i < prompt->size(); ++i)
    text.push_back(prompt->asInt(i));

  const Value *tokens = nullptr;
  for (ValueId id : graph.inputs) {
    const Value &input = graph.values[id];
    bool isKnown = given.count(input.name) ||
                   llvm::any_of(feeds, [&](auto &feed) { return feed.second == input.name; });
    if (isKnown)
      continue;
    if (tokens || !isInteger(input.type))
      return makeError("--generate: input {0} needs --input or --feed; only the tokens may be left",
                       quoted(input.name));
    tokens = &input;
  }
  if (!tokens)
    return makeError("--generate: no input is left for the tokens");
  if (graph.outputs.empty())
    return makeError("--generate: the graph has no outputs");
  tokenInput = tokens->name;
  logits = graph.values[graph.outputs.front()].name;
  given[tokenInput] =
      Tensor::of<int64_t>(ElementType::Int64, {1, static_cast<int64_t>(text.size())}, text);

  // Caches start empty: their symbols that neither the tokens nor the user know are 0.
  llvm::StringSet<> known;
  for (const std::string &dim : settings.dims)
    known.insert(StringRef(dim).rsplit('=').first);
  auto forEachSymbol = [&](const Value &value, auto body) {
    if (value.dims)
      for (const Dim &dim : *value.dims)
        if (dim.size < 0 && dim.symbol != "?" && !StringRef(dim.symbol).contains('+'))
          body(dim.symbol);
  };
  for (ValueId id : graph.inputs)
    if (const Value &value = graph.values[id]; given.count(value.name))
      forEachSymbol(value, [&](const std::string &symbol) { known.insert(symbol); });
  for (ValueId id : graph.inputs)
    forEachSymbol(graph.values[id], [&](const std::string &symbol) {
      if (known.insert(symbol).second)
        settings.dims.push_back(symbol + "=0");
    });
  return llvm::Error::success();
}

Expected<Steps> Steps::plan(const Graph &graph, const Options &options) {
  Steps result(options);
  Expected<NamedTensors> given = readInputs(options.inputs);
  if (!given)
    return given.takeError();
  result.given = std::move(*given);
  result.count = options.generate ? *options.generate : options.steps.value_or(1);
  if (result.count < 1)
    return makeError("{0} {1}: expected a number from 1",
                     options.generate ? "--generate" : "--steps", result.count);
  if (llvm::Error error = result.readFeeds(graph))
    return std::move(error);
  if (!options.generate)
    return result;
  if (result.feeds.empty())
    result.pairCaches(graph);
  if (llvm::Error error = result.readPrompt(graph))
    return std::move(error);
  return result;
}

/// Greedy: the most likely token after the last position.
llvm::Error Steps::generate(const NamedTensors &outputs) {
  const Tensor &scores = outputs.at(logits);
  if (!isFloat(scores.type()) || scores.rank() < 2 || scores.rank() > 3 || scores.size() == 0 ||
      scores.shape()[0] != 1)
    return makeError("--generate: the first output, {0}, is not [1,S,V] or [1,V] in floating point",
                     quoted(logits));
  int64_t vocabulary = scores.shape().back(), base = scores.size() - vocabulary, best = 0;
  for (int64_t i = 1; i < vocabulary; ++i)
    if (scores.asDouble(base + i) > scores.asDouble(base + best))
      best = i;
  generated.push_back(best);
  // Without a cache the model sees all of the text each time.
  if (feeds.empty())
    text.push_back(best);
  else
    text = {best};
  given[tokenInput] =
      Tensor::of<int64_t>(ElementType::Int64, {1, static_cast<int64_t>(text.size())}, text);
  return llvm::Error::success();
}

llvm::Error Steps::advance(NamedTensors inputs, const NamedTensors &outputs) {
  ++done;
  given = std::move(inputs);
  for (const auto &[output, input] : feeds)
    given[input] = outputs.at(output);
  // Every input is there now, and with it every shape; timing alone has no inputs.
  if (settings.functional) {
    settings.dims.clear();
    settings.inputShapes.clear();
  }
  return settings.generate ? generate(outputs) : llvm::Error::success();
}

} // namespace npucc
