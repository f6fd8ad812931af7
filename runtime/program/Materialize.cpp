//===- Materialize.cpp - Bytes of constants from their recipes ------------===//
//
// Recipes use earlier recipes only (validate() checks it), but a chain may be long:
// the walk keeps its own stack.
//
//===----------------------------------------------------------------------===//

#include "runtime/onnx/Errors.h"
#include "runtime/program/Program.h"
#include "runtime/reference/Reference.h"

using namespace npucc;

llvm::Expected<Tensor> npucc::materialize(const Program &program, int32_t recipe,
                                          std::vector<Tensor> &cache) {
  auto bad = [](const llvm::Twine &why) {
    return llvm::createStringError(llvm::inconvertibleErrorCode(), why);
  };
  auto exists = [&](int32_t r) { return r >= 0 && size_t(r) < program.recipes.size(); };
  if (!exists(recipe))
    return bad("constant recipe " + llvm::Twine(recipe) + " does not exist");
  if (cache.size() < program.recipes.size())
    cache.resize(program.recipes.size());

  std::vector<int32_t> stack{recipe};
  while (!stack.empty()) {
    int32_t current = stack.back();
    const Recipe &r = program.recipes[current];
    if (cache[current].defined()) {
      stack.pop_back();
      continue;
    }
    if (r.data.defined()) {
      cache[current] = r.data;
      continue;
    }
    std::vector<Tensor> inputs;
    size_t before = stack.size();
    for (ValueId input : r.node.inputs) {
      if (input == kNoValue) {
        inputs.emplace_back();
        continue;
      }
      if (!exists(input) || input >= current)
        return bad("constant recipe " + llvm::Twine(current) + " uses recipe " +
                   llvm::Twine(input) + ", which does not stand before it");
      if (!cache[input].defined())
        stack.push_back(input);
      else
        inputs.push_back(cache[input]);
    }
    if (stack.size() > before)
      continue;
    llvm::Expected<Tensors> made = evaluateNode(r.node, inputs);
    if (!made)
      return made.takeError();
    if (r.output < 0 || size_t(r.output) >= made->size() || !(*made)[r.output].defined())
      return bad("constant recipe " + llvm::Twine(current) + ": node " + quoted(r.node.name) +
                 " has no output " + llvm::Twine(r.output));
    cache[current] = (*made)[r.output];
  }
  return cache[recipe];
}
