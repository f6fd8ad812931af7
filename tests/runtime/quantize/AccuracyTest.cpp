//===- AccuracyTest.cpp - What 8 bits cost on labelled data ---------------===//
#include "tests/runtime/quantize/Build.h"

#include "runtime/onnx/Loader.h"
#include "runtime/quantize/FoldBatchNorm.h"
#include "runtime/quantize/Quantize.h"

#include "llvm/Support/FileSystem.h"

using namespace npucc;
using namespace npucc::test;

namespace {

struct Task {
  Model model;
  std::vector<Tensor> inputs;
  Tensor targets;

  /// Inputs of the graph by name; those without a file are zeros (an empty cache).
  Task(const std::string &folder, const std::string &targetFile, const Bindings &bindings,
       llvm::ArrayRef<const char *> files) {
    model = take(loadModel(folder + "/model.onnx"));
    if (llvm::Error error = prepare(model, bindings))
      FAIL(llvm::toString(std::move(error)));
    take(foldBatchNorm(model));
    for (ValueId id : model.graph.inputs) {
      const Value &value = model.graph.values[id];
      bool isFile = llvm::is_contained(files, value.name);
      inputs.push_back(isFile ? take(readNpy(folder + "/eval/" + value.name + ".npy"))
                              : Tensor::zeros(value.type, value.shape()));
    }
    targets = take(readNpy(folder + "/eval/" + targetFile));
  }
  Tensor run() { return take(evaluate(model.graph, inputs))[0]; }
  void quantize() {
    QuantizeOptions options;
    options.ranges = take(calibrate(model.graph, {inputs}));
    QuantizeReport report = take(quantizeGraph(model, options));
    CHECK(report.quantizedMacs >= 0.95 * report.macs);
  }
};

bool haveShared(const std::string &path) {
  if (llvm::sys::fs::exists(path))
    return true;
  WARN("skipped: " << path << " is absent");
  return false;
}

} // namespace

TEST_CASE("accuracy: an encoder's classes in int8", "[quantize]") {
  std::string folder = NPUCC_SHARED_DIR "/models/tinybert_cls";
  if (!haveShared(folder))
    return;
  Bindings bindings;
  bindings.inputShapes = {{"input_ids", {64, 96}}, {"attention_mask", {64, 96}}};
  Task task(folder, "labels.npy", bindings, {"input_ids", "attention_mask"});
  auto right = [&] {
    Tensor logits = task.run();
    int n = 0;
    for (int64_t i = 0; i < 64; ++i)
      n += argmax(logits, i, 8) == task.targets.asInt(i);
    return n;
  };
  CHECK(right() == 56); // what onnxruntime gets
  task.quantize();
  int quantized = right();
  INFO("right in int8: " << quantized << " of 64");
  CHECK(quantized >= 55);
}

TEST_CASE("accuracy: a decoder's cross-entropy in int8", "[quantize]") {
  std::string folder = NPUCC_SHARED_DIR "/models/charllama";
  if (!haveShared(folder))
    return;
  Bindings bindings;
  bindings.inputShapes["input_ids"] = {16, 96};
  bindings.batch = 16;
  bindings.dims = {{"batch", 16}, {"seq", 96}, {"past", 0}};
  Task task(folder, "targets.npy", bindings, {"input_ids"});
  auto loss = [&] {
    Tensor logits = task.run();
    int64_t width = logits.shape().back();
    double sum = 0;
    for (int64_t i = 0; i < task.targets.size(); ++i) {
      double total = 0;
      for (int64_t k = 0; k < width; ++k)
        total += std::exp(logits.asDouble(i * width + k));
      sum += std::log(total) - logits.asDouble(i * width + task.targets.asInt(i));
    }
    return sum / static_cast<double>(task.targets.size());
  };
  CHECK(loss() == Approx(1.5665).margin(2e-3)); // what onnxruntime gets
  task.quantize();
  double quantized = loss();
  INFO("nats per character in int8: " << quantized);
  CHECK(quantized < 1.62);
}
