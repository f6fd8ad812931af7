//===- QuantizeTest.cpp ---------------------------------------------------===//
#include "tests/runtime/quantize/Build.h"

#include "runtime/onnx/Loader.h"
#include "runtime/quantize/FoldBatchNorm.h"
#include "runtime/quantize/Quantize.h"

#include "llvm/Support/FileSystem.h"

using namespace npucc;
using namespace npucc::test;

namespace {

QuantizeOptions calibrated(const Graph &graph, uint64_t seed = 7) {
  std::vector<Tensor> inputs;
  for (ValueId id : graph.inputs)
    inputs.push_back(randomTensor(ElementType::Float32, graph.values[id].shape(), seed++));
  QuantizeOptions options;
  options.ranges = take(calibrate(graph, {inputs}));
  return options;
}

/// Number of QuantizeLinear nodes that read a computed value of this operator.
int quantizedResults(const Graph &graph, llvm::StringRef op) {
  int n = 0;
  for (const Node &node : graph.nodes)
    n += node.opType == "QuantizeLinear" && writer(graph, node.inputs[0]) == op;
  return n;
}

Model load(const std::string &path, const Bindings &bindings = {}) {
  Model model = take(loadModel(path));
  if (llvm::Error error = prepare(model, bindings))
    FAIL(llvm::toString(std::move(error)));
  take(foldBatchNorm(model));
  return model;
}

bool haveShared(const std::string &path) {
  if (llvm::sys::fs::exists(path))
    return true;
  WARN("skipped: " << path << " is absent");
  return false;
}

/// Conv, Relu, MaxPool, Conv, residual Add, Relu, Gemm.
Model &smallNetwork(Builder &b) {
  Shape shape = {1, 4, 4, 4};
  ValueId x = b.input({1, 3, 8, 8});
  ValueId y = b.node("Conv", {x, b.constant({4, 3, 3, 3}, 0.2f), b.constant({4})}, {1, 4, 8, 8},
                     {{"pads", integers({1, 1, 1, 1})}});
  y = b.node("Relu", {y}, {1, 4, 8, 8});
  ValueId p = b.node("MaxPool", {y}, shape,
                     {{"kernel_shape", integers({2, 2})}, {"strides", integers({2, 2})}});
  y = b.node("Conv", {p, b.constant({4, 4, 3, 3}, 0.2f), b.constant({4})}, shape,
             {{"pads", integers({1, 1, 1, 1})}});
  y = b.node("Relu", {b.node("Add", {y, p}, shape)}, shape);
  y = b.node("Flatten", {y}, {1, 64});
  y = b.node("Gemm", {y, b.constant({10, 64}, 0.2f), b.constant({10})}, {1, 10},
             {{"transB", integer(1)}});
  return b.finish({y});
}

} // namespace

TEST_CASE("quantize: pairs stand between layers, not inside them", "[quantize]") {
  Builder b;
  Model &model = smallNetwork(b);
  Tensor before = run(model.graph);
  QuantizeReport report = take(quantizeGraph(model, calibrated(model.graph)));
  const Graph &graph = model.graph;

  CHECK(report.macs == report.quantizedMacs);
  CHECK(report.floatNodes.empty());
  CHECK(quantizedResults(graph, "Relu") == 2);
  CHECK(quantizedResults(graph, "Conv") == 0); // the residual Add joins the accumulators
  CHECK(quantizedResults(graph, "Add") == 0);
  CHECK(quantizedResults(graph, "Gemm") == 0); // a graph output nobody else reads
  for (const Node &node : graph.nodes)
    if (node.opType == "Conv" || node.opType == "Gemm")
      for (ValueId id : node.inputs)
        CHECK(writer(graph, id) == "DequantizeLinear");
  CHECK(worstDifference(before, run(graph)) < 0.03 * largest(before));
}

TEST_CASE("quantize: weights int8 per channel, biases int32 on the product grid", "[quantize]") {
  Builder b;
  Model &model = smallNetwork(b);
  QuantizeOptions options = calibrated(model.graph);
  take(quantizeGraph(model, options));
  const Graph &graph = model.graph;
  std::map<ValueId, const Node *> writers;
  for (const Node &node : graph.nodes)
    writers[node.outputs[0]] = &node;
  const Node *conv = find(graph, "Conv");
  const Node *x = writers[conv->inputs[0]], *w = writers[conv->inputs[1]],
             *bias = writers[conv->inputs[2]];
  REQUIRE((x && w && bias));
  const Tensor &q = *graph.constant(w->inputs[0]), &scales = *graph.constant(w->inputs[1]);
  CHECK(q.type() == ElementType::Int8);
  CHECK(scales.shape() == llvm::ArrayRef<int64_t>({4}));
  for (int64_t channel = 0; channel < 4; ++channel) {
    int64_t most = 0;
    for (int64_t i = 0; i < 27; ++i)
      most = std::max(most, std::abs(q.asInt(channel * 27 + i)));
    CHECK(most == 127);
    CHECK(graph.constant(bias->inputs[1])->asDouble(channel) ==
          Approx(scales.asDouble(channel) * graph.constant(x->inputs[1])->asDouble(0)));
  }
  CHECK(graph.constant(bias->inputs[0])->type() == ElementType::Int32);
}

TEST_CASE("quantize: pooling and views keep the grid of their input", "[quantize]") {
  Builder b;
  Model &model = smallNetwork(b);
  take(quantizeGraph(model, calibrated(model.graph)));
  const Graph &graph = model.graph;
  auto scaleOf = [&](llvm::StringRef op) {
    for (const Node &node : graph.nodes)
      if (node.opType == "QuantizeLinear" && writer(graph, node.inputs[0]) == op)
        return node.inputs[1];
    return kNoValue;
  };
  CHECK(scaleOf("MaxPool") == scaleOf("Relu"));
  CHECK(scaleOf("Flatten") != kNoValue);
  CHECK(scaleOf("Flatten") != scaleOf("MaxPool"));
}

TEST_CASE("quantize: lazy weights are the same weights", "[quantize]") {
  Builder eager, lazy;
  Model &a = smallNetwork(eager), &z = smallNetwork(lazy);
  QuantizeOptions options = calibrated(a.graph);
  take(quantizeGraph(a, options));
  options.foldLimit = 0;
  take(quantizeGraph(z, options));
  CHECK(z.graph.nodes.size() > a.graph.nodes.size() + 20);
  for (const auto &[id, tensor] : z.graph.constants)
    CHECK((tensor.type() != ElementType::Int8 || tensor.size() <= 10)); // zero points only
  CHECK(worstDifference(run(a.graph), run(z.graph)) == 0);
}

TEST_CASE("quantize: a huge bias over tiny weights stays in int32", "[quantize]") {
  Builder b;
  ValueId y = b.node("Conv", {b.input({1, 1, 4, 4}), b.constant({2, 1, 1, 1}, 0, 1e-13f),
                              b.constant({2}, 0, 1000)},
                     {1, 2, 4, 4});
  Model &model = b.finish({y});
  take(quantizeGraph(model, calibrated(model.graph)));
  CHECK(run(model.graph).asDouble(0) == Approx(1000).epsilon(1e-3));
}

TEST_CASE("quantize: attention computes products on 8 bits, scores in float", "[quantize]") {
  Builder b;
  Shape tokens = {1, 6, 8}, scores = {1, 6, 6};
  ValueId x = b.input(tokens), mask = b.input(scores);
  auto project = [&](ValueId v) {
    return b.node("Add", {b.node("MatMul", {v, b.constant({8, 8}, 0.4f)}, tokens),
                          b.constant({8})}, tokens);
  };
  ValueId q = project(x), k = project(x), v = project(x);
  ValueId t = b.node("Transpose", {k}, {1, 8, 6}, {{"perm", integers({0, 2, 1})}});
  ValueId s = b.node("Mul", {b.node("MatMul", {q, t}, scores), b.constant({}, 0, 0.35f)}, scores);
  s = b.node("Add", {s, b.node("Mul", {mask, b.constant({}, 0, -1e4f)}, scores)}, scores);
  s = b.node("Softmax", {s}, scores, {{"axis", integer(-1)}});
  ValueId y = b.node("Add", {project(b.node("MatMul", {s, v}, tokens)), x}, tokens);
  y = b.node("LayerNormalization", {y, b.positive({8}), b.constant({8})}, tokens);
  y = project(y);
  Model &model = b.finish({y});
  QuantizeReport report = take(quantizeGraph(model, calibrated(model.graph)));
  const Graph &graph = model.graph;
  CHECK(report.macs == report.quantizedMacs);
  CHECK(quantizedResults(graph, "Softmax") == 1);
  CHECK(quantizedResults(graph, "LayerNormalization") == 1);
  CHECK(quantizedResults(graph, "Mul") == 1); // scores, scaled but not masked
  CHECK(writer(graph, find(graph, "Softmax")->inputs[0]) == "Add");
  CHECK(writer(graph, find(graph, "LayerNormalization")->inputs[0]) == "Add");
}

TEST_CASE("quantize: excluded nodes stay float, dequantised ones are left alone", "[quantize]") {
  Builder b;
  Model &model = smallNetwork(b);
  QuantizeOptions options = calibrated(model.graph);
  options.exclude = {find(model.graph, "Gemm")->name};
  QuantizeReport report = take(quantizeGraph(model, options));
  CHECK(report.floatNodes.size() == 1);
  CHECK(report.macs - report.quantizedMacs == 640);
  size_t nodes = model.graph.nodes.size();
  options = {};
  options.exclude = {find(model.graph, "Gemm")->name};
  take(quantizeGraph(model, options)); // again
  CHECK(model.graph.nodes.size() == nodes);
}

TEST_CASE("quantize: a float16 graph keeps its type between the pairs", "[quantize]") {
  std::string path = NPUCC_SHARED_DIR "/models/squeezenet_fp16/model.onnx";
  if (!haveShared(path))
    return;
  Model model = load(path);
  QuantizeReport report = take(quantizeGraph(model, {}));
  CHECK(report.quantizedMacs == report.macs);
  for (const Node &node : model.graph.nodes)
    if (node.opType == "DequantizeLinear")
      CHECK(model.graph.values[node.outputs[0]].type == ElementType::Float16);
}

TEST_CASE("quantize: the digits classifier keeps its accuracy", "[quantize]") {
  std::string folder = NPUCC_SOURCE_MODELS_DIR "/networks/";
  Tensor images = take(readNpy(folder + "digits_test_images.npy"));
  Tensor labels = take(readNpy(folder + "digits_test_labels.npy"));
  int64_t n = labels.size();
  Bindings bindings;
  bindings.batch = n;
  auto right = [&](const Graph &graph) {
    Tensor logits = take(evaluate(graph, {images}))[0];
    int64_t count = 0;
    for (int64_t i = 0; i < n; ++i)
      count += argmax(logits, i, 10) == labels.asInt(i);
    return count;
  };
  Model model = load(folder + "digits.onnx", bindings);
  CHECK(right(model.graph) == 357); // as train_digits.py counts
  CHECK(right(load(folder + "digits_int8.onnx", bindings).graph) == 357);

  QuantizeOptions options;
  options.ranges = take(calibrate(model.graph, {{images}}));
  QuantizeReport report = take(quantizeGraph(model, options));
  CHECK(report.quantizedMacs == report.macs);
  CHECK(right(model.graph) >= 355);
}

TEST_CASE("quantize: networks keep their answers", "[quantize]") {
  struct Case {
    const char *name;
    double macs; ///< least share on 8 bits
  };
  for (Case c : {Case{"resnet8_fp32", 1.0}, Case{"ultraface_rfb320", 1.0}}) {
    std::string folder = std::string(NPUCC_SHARED_DIR "/models/") + c.name;
    if (!haveShared(folder + "/model.onnx"))
      continue;
    INFO(c.name);
    Model model = load(folder + "/model.onnx");
    Tensor input = take(readNpy(folder + "/test_data_0/input_0.npy"));
    Tensor expected = take(readNpy(folder + "/test_data_0/output_0.npy"));
    QuantizeOptions options;
    options.ranges = take(calibrate(model.graph, {{input}}));
    QuantizeReport report = take(quantizeGraph(model, options));
    CHECK(report.quantizedMacs >= c.macs * report.macs);
    Tensor output = take(evaluate(model.graph, {input}))[0];
    CHECK(worstDifference(expected, output) < 0.15);
    if (llvm::StringRef(c.name) == "resnet8_fp32")
      CHECK(argmax(output, 0, 10) == argmax(expected, 0, 10));
  }
}
