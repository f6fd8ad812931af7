//===- GenerateTest.cpp - A decoder, token by token, against the reference ----===//

#include "tests/compiler/endtoend/NpuccRun.h"

#include "runtime/onnx/Loader.h"
#include "runtime/reference/Reference.h"

using namespace npucc;
using namespace npucc::test;

/// The line that --generate prints, of tokens that the reference finds.
static std::string expectedTokens(const std::string &path, const Tensor &prompt, int count) {
  Model file = check(loadModel(path));
  std::vector<Tensor> inputs = {prompt};
  for (size_t i = 1; i < file.graph.inputs.size(); ++i)
    inputs.push_back(Tensor::zeros(ElementType::Float32, {1, 2, 0, 32}));
  std::string line = "tokens:";
  for (int step = 0; step < count; ++step) {
    Model model = file;
    Bindings bindings;
    for (size_t i = 0; i < inputs.size(); ++i)
      bindings.inputShapes[file.graph.values[file.graph.inputs[i]].name] =
          Shape(inputs[i].shape().begin(), inputs[i].shape().end());
    check(prepare(model, bindings));
    // The outputs stand in the order of the inputs: logits, then each cache.
    inputs = check(evaluate(model.graph, inputs));
    const Tensor &logits = inputs[0];
    int64_t vocabulary = logits.shape().back(), base = logits.size() - vocabulary, best = 0;
    for (int64_t i = 1; i < vocabulary; ++i)
      if (logits.asDouble(base + i) > logits.asDouble(base + best))
        best = i;
    line += " " + std::to_string(best);
    inputs[0] = Tensor::of<int64_t>(ElementType::Int64, {1, 1}, best);
  }
  return line + "\n";
}

TEST_CASE("charllama continues a text as the reference does", "[endtoend][generate]") {
  std::string folder = sharedFolder();
  if (folder.empty())
    return;
  folder += "/models/charllama";
  if (!llvm::sys::fs::exists(folder)) {
    WARN("no " << folder << ": skipped");
    return;
  }
  std::string model = folder + "/model.onnx", prompt = folder + "/test_data_0/input_0.npy";
  NpuccRun run(model, {"--generate", "32", "--prompt", prompt, "--verify", "--baseline", "none"});
  CHECK(run.printed() == expectedTokens(model, check(readNpy(prompt)), 32));
  CHECK(run.output("present_0_k").shape()[2] == check(readNpy(prompt)).size() + 31);
}
