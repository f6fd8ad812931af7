//===- WriterTest.cpp - Quantised graphs as files ---------------------------===//
#include "tests/runtime/TestSupport.h"
#include "tests/runtime/quantize/Build.h"

#include "runtime/onnx/Loader.h"
#include "runtime/onnx/Writer.h"
#include "runtime/quantize/FoldBatchNorm.h"
#include "runtime/quantize/Quantize.h"

using namespace npucc;
using namespace npucc::test;

namespace {

Model writtenAndRead(const Model &model) {
  TemporaryFolder folder;
  check(writeModel(model, folder.file("written.onnx")));
  return take(loadModel(folder.file("written.onnx")));
}

void checkSame(const Tensor &a, const Tensor &b) {
  CHECK(a.type() == b.type());
  CHECK(a.shape() == b.shape());
  REQUIRE(a.byteSize() == b.byteSize());
  CHECK(std::memcmp(a.data(), b.data(), a.byteSize()) == 0);
}

} // namespace

TEST_CASE("writer: a quantised network comes back the same", "[quantize]") {
  std::string shared = sharedFolder();
  if (shared.empty())
    return;
  Model model = take(loadModel(shared + "/models/resnet8_fp32/model.onnx"));
  Bindings bindings;
  bindings.batch = 1;
  check(prepare(model, bindings));
  take(foldBatchNorm(model));
  const Value input = model.graph.values[model.graph.inputs[0]];
  std::vector<Tensor> inputs = {randomTensor(input.type, input.shape(), 3)};
  QuantizeOptions options;
  options.ranges = take(calibrate(model.graph, {inputs}));
  take(quantizeGraph(model, options));

  Model again = writtenAndRead(model);
  CHECK(again.irVersion == 10);
  CHECK(again.opset == 21);
  CHECK(again.graph.values[again.graph.inputs[0]].name == input.name);
  // Large weights, too, are integers of the file, not expressions.
  for (const auto &[id, tensor] : again.graph.constants)
    CHECK((tensor.type() != ElementType::Float32 || tensor.size() <= 64));
  std::vector<Tensor> expected = take(evaluate(model.graph, inputs));
  std::vector<Tensor> actual = take(evaluate(again.graph, inputs));
  REQUIRE(actual.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i)
    checkSame(expected[i], actual[i]);
  check(prepare(again, {}));
  checkSame(expected[0], take(evaluate(again.graph, inputs))[0]);
}

TEST_CASE("writer: equal names, absent inputs, constant and repeated outputs", "[quantize]") {
  Builder b;
  ValueId x = b.input({2, 3}), c = b.constant({3});
  ValueId low = b.edit->addFloats("low", ElementType::Float32, {}, {-0.5f});
  ValueId sum = b.node("Add", {x, c}, {2, 3});
  ValueId clipped = b.node("Clip", {sum, low}, {2, 3});
  ValueId above = b.node("Clip", {clipped, kNoValue, c}, {2, 3});
  ValueId turned = b.node("Transpose", {above}, {3, 2}, {{"perm", integers({1, 0})}});
  Model &model = b.finish({turned, clipped, turned, c, x});
  for (Value &value : model.graph.values)
    value.name = "same";
  for (Node &node : model.graph.nodes)
    if (node.opType == "Clip" && node.inputs.size() == 3)
      node.inputs[2] = low;
  Tensor input = randomTensor(ElementType::Float32, {2, 3}, 5);
  std::vector<Tensor> expected = take(evaluate(model.graph, {input}));

  Model again = writtenAndRead(model);
  std::vector<Tensor> actual = take(evaluate(again.graph, {input}));
  REQUIRE(actual.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i)
    checkSame(expected[i], actual[i]);
}

TEST_CASE("writer: a folder that does not exist", "[quantize]") {
  Builder b;
  ValueId x = b.input({2});
  CHECK(errorOf(writeModel(b.finish({b.node("Relu", {x}, {2})}), "/nonexistent/a.onnx")) ==
        "/nonexistent/a.onnx: cannot be written: No such file or directory");
}
