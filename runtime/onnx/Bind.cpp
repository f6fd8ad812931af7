//===- Bind.cpp - Gives the inputs' dimensions their sizes --------------------===//

#include "runtime/onnx/Errors.h"
#include "runtime/onnx/Prepare.h"

#include "llvm/ADT/StringExtras.h"

#include <set>

using namespace npucc;
using llvm::StringRef;

namespace {

constexpr int64_t kMaxDimension = int64_t(1) << 40;

bool isUnnamed(StringRef symbol) {
  // What exporters write where the user gave no name.
  if (symbol.empty() || symbol == "?" || symbol.equals_insensitive("none") ||
      symbol.starts_with("unk__"))
    return true;
  return symbol.contains("DynamicDimension");
}

bool looksLikeBatch(StringRef symbol) {
  return isUnnamed(symbol) || symbol.contains_insensitive("batch") ||
         symbol.equals_insensitive("n") || symbol.equals_insensitive("b") ||
         symbol.equals_insensitive("bs");
}

class Binder {
public:
  Binder(Graph &graph, const Bindings &bindings) : graph(graph), bindings(bindings) {}

  llvm::Expected<bool> run() {
    if (llvm::Error error = checkNames())
      return std::move(error);
    for (const auto &[symbol, size] : bindings.dims)
      if (llvm::Error error = bind(symbol, size, "--dim"))
        return std::move(error);
    for (ValueId id : graph.inputs)
      if (llvm::Error error = applyInputShape(graph.values[id]))
        return std::move(error);
    if (bindings.batch)
      if (llvm::Error error = applyBatch(*bindings.batch))
        return std::move(error);
    applyDefaults();
    if (llvm::Error error = fill())
      return std::move(error);
    return rewritten;
  }

private:
  llvm::Error checkNames() {
    std::set<std::string> inputs, symbols;
    for (ValueId id : graph.inputs)
      inputs.insert(graph.values[id].name);
    for (const Value &value : graph.values)
      if (value.dims)
        for (const Dim &dim : *value.dims)
          if (dim.size < 0 && dim.symbol != "?")
            symbols.insert(dim.symbol);
    auto known = [](const std::set<std::string> &names) {
      std::vector<std::string> list;
      for (const std::string &name : names)
        list.push_back(quoted(name));
      return list.empty() ? std::string("none") : llvm::join(list, ", ");
    };
    for (const auto &[name, shape] : bindings.inputShapes)
      if (!inputs.count(name))
        return makeError("there is no input {0}; inputs: {1}", quoted(name), known(inputs));
    for (const auto &[name, size] : bindings.dims)
      if (!symbols.count(name))
        return makeError("there is no dimension {0}; symbolic dimensions: {1}", quoted(name),
                         known(symbols));
    return llvm::Error::success();
  }

  llvm::Error bind(const std::string &symbol, int64_t size, const std::string &origin) {
    if (size < 0 || size > kMaxDimension)
      return makeError("dimension {0} cannot be {1}", quoted(symbol), size);
    auto [it, fresh] = bound.try_emplace(symbol, size);
    if (fresh)
      origins[symbol] = origin;
    else if (it->second != size)
      return makeError("dimension {0} is {1} by {2}, but {3} makes it {4}", quoted(symbol),
                       it->second, origins[symbol], origin, size);
    return llvm::Error::success();
  }

  llvm::Error applyInputShape(Value &input) {
    auto it = bindings.inputShapes.find(input.name);
    if (it == bindings.inputShapes.end())
      return llvm::Error::success();
    const Shape &shape = it->second;
    std::string origin = "the shape given for input " + quoted(input.name);
    if (!input.dims)
      input.dims.emplace(shape.size(), Dim{-1, "?"});
    if (input.dims->size() != shape.size())
      return makeError("input {0} has {1} dimensions, but the shape given has {2}",
                       quoted(input.name), input.dims->size(), shape.size());
    for (size_t i = 0; i < shape.size(); ++i) {
      Dim &dim = (*input.dims)[i];
      if (shape[i] < 0 || shape[i] > kMaxDimension)
        return makeError("input {0} cannot have a dimension of {1}", quoted(input.name), shape[i]);
      if (dim.size >= 0) {
        // With a batch, a fixed 1 may become the batch in any position.
        if (dim.size == 1 && bindings.batch == shape[i] && shape[i] != 1) {
          dim.size = shape[i];
          rewritten = true;
        } else if (dim.size != shape[i]) {
          return makeError("input {0}: dimension {1} is {2} in the file, but {3} makes it {4}",
                           quoted(input.name), i, dim.size, origin, shape[i]);
        }
      } else if (dim.symbol == "?") {
        dim.size = shape[i];
      } else if (llvm::Error error = bind(dim.symbol, shape[i], origin)) {
        return error;
      }
    }
    return llvm::Error::success();
  }

  llvm::Error applyBatch(int64_t batch) {
    if (batch < 1 || batch > kMaxDimension)
      return makeError("the batch cannot be {0}", batch);
    bool found = false, symbolic = false;
    for (ValueId id : graph.inputs) {
      Value &input = graph.values[id];
      if (!input.dims || input.dims->empty())
        continue;
      Dim &leading = input.dims->front();
      if (leading.size >= 0) {
        found |= leading.size == batch && bindings.inputShapes.count(input.name);
        continue;
      }
      symbolic = true;
      if (leading.symbol == "?")
        leading.size = batch;
      else if (!bound.count(leading.symbol) || looksLikeBatch(leading.symbol))
        if (llvm::Error error = bind(leading.symbol, batch, "--batch"))
          return error;
      found = true;
    }
    // A symbol named like a batch may stand elsewhere than in front.
    for (ValueId id : graph.inputs)
      if (graph.values[id].dims)
        for (const Dim &dim : *graph.values[id].dims)
          if (dim.size < 0 && StringRef(dim.symbol).contains_insensitive("batch") &&
              !bound.count(dim.symbol)) {
            symbolic = found = true;
            bound[dim.symbol] = batch;
          }
    // Where some inputs have a symbolic batch, a fixed 1 in others is meant to be 1.
    for (ValueId id : graph.inputs) {
      Value &input = graph.values[id];
      if (symbolic || !input.dims || input.dims->size() < 2 ||
          bindings.inputShapes.count(input.name))
        continue;
      Dim &leading = input.dims->front();
      if (leading.size == 1 && batch != 1) {
        leading.size = batch;
        rewritten = true;
      }
      found |= leading.size == batch;
    }
    if (!found && batch != 1)
      return makeError("the graph has no batch dimension that could become {0}: no input's "
                       "leading dimension is symbolic or 1",
                       batch);
    return llvm::Error::success();
  }

  void applyDefaults() {
    bound.insert(bindings.defaults.begin(), bindings.defaults.end());
    for (ValueId id : graph.inputs) {
      Value &input = graph.values[id];
      if (!input.dims || input.dims->empty())
        continue;
      Dim &leading = input.dims->front();
      if (leading.size >= 0 || !looksLikeBatch(leading.symbol))
        continue;
      if (leading.symbol == "?")
        leading.size = 1;
      else
        bound.try_emplace(leading.symbol, 1);
    }
  }

  /// The size of a symbol, which may be a sum of symbols and numbers, as exporters
  /// write for the length of a cache; std::nullopt when a part is not known.
  std::optional<int64_t> evaluate(StringRef symbol) const {
    auto it = bound.find(symbol.str());
    if (it != bound.end())
      return it->second;
    int64_t sum = 0;
    if (!symbol.contains('+')) {
      bool number = !symbol.getAsInteger(10, sum) && sum >= 0 && sum <= kMaxDimension;
      return number ? std::optional(sum) : std::nullopt;
    }
    llvm::SmallVector<StringRef, 4> terms;
    symbol.split(terms, '+', /*MaxSplit=*/64);
    for (StringRef term : terms) {
      term = term.trim();
      std::optional<int64_t> value = term.contains('+') ? std::nullopt : evaluate(term);
      if (!value)
        return std::nullopt;
      sum += *value;
    }
    return sum;
  }

  llvm::Error fill() {
    std::vector<std::string> unbound;
    std::set<std::string> listed;
    for (ValueId id : graph.inputs) {
      Value &input = graph.values[id];
      if (!input.dims) {
        unbound.push_back("the shape of input " + quoted(input.name));
        continue;
      }
      for (size_t i = 0; i < input.dims->size(); ++i) {
        Dim &dim = (*input.dims)[i];
        if (dim.size < 0 && dim.symbol != "?")
          dim.size = evaluate(dim.symbol).value_or(-1);
        bool named = dim.symbol != "?";
        if (dim.size < 0 && (!named || listed.insert(dim.symbol).second))
          unbound.push_back((named ? quoted(dim.symbol) + " (input " : "unnamed (input ") +
                            quoted(input.name) + ", dimension " + std::to_string(i) + ")");
      }
    }
    if (!unbound.empty())
      return makeError("dimensions without a size: {0}; give --dim NAME=N or --input-shape "
                       "NAME=N,N,...",
                       llvm::join(unbound, ", "));
    for (ValueId id : graph.inputs) {
      std::optional<int64_t> count = checkedElementCount(graph.values[id].shape());
      if (!count || *count > kMaxDimension)
        return makeError("input {0} is too large", quoted(graph.values[id].name));
    }
    // Symbols also stand in what the file declares about other values.
    for (Value &value : graph.values)
      if (value.dims)
        for (Dim &dim : *value.dims)
          if (auto it = bound.find(dim.symbol); dim.size < 0 && it != bound.end())
            dim.size = it->second;
    return llvm::Error::success();
  }

  Graph &graph;
  const Bindings &bindings;
  std::map<std::string, int64_t> bound;
  std::map<std::string, std::string> origins; ///< who bound the symbol
  bool rewritten = false;
};

} // namespace

llvm::Expected<bool> npucc::bindDimensions(Graph &graph, const Bindings &bindings) {
  return Binder(graph, bindings).run();
}
