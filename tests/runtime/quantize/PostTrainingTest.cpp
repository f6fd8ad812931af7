//===- PostTrainingTest.cpp - Ranges, biases, SNR, layers in float --------===//
#include "tests/runtime/quantize/Build.h"

#include "runtime/onnx/Loader.h"
#include "runtime/quantize/FitWeights.h"
#include "runtime/quantize/FoldBatchNorm.h"
#include "runtime/quantize/PostTraining.h"
#include "runtime/quantize/Reconstruct.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"

using namespace npucc;
using namespace npucc::test;

namespace {

Tensor positiveImage(Shape shape, uint64_t seed) {
  Tensor image = randomTensor(ElementType::Float32, shape, seed);
  for (float &x : image.mutableValues<float>())
    x = std::fabs(x) + 1;
  return image;
}

/// Conv, SiLU, Conv, with a graph output.
Model &siluNetwork(Builder &b) {
  ValueId x = b.input({1, 3, 8, 8});
  ValueId y = b.node("Conv", {x, b.constant({8, 3, 3, 3}, 0.4f), b.constant({8})}, {1, 8, 6, 6});
  y = b.node("Mul", {y, b.node("Sigmoid", {y}, {1, 8, 6, 6})}, {1, 8, 6, 6});
  y = b.node("Conv", {y, b.constant({4, 8, 1, 1}), b.constant({4})}, {1, 4, 6, 6});
  return b.finish({y});
}

double snrOf(const Graph &reference, const Graph &actual, const std::vector<Tensor> &inputs,
             size_t group = 0) {
  std::vector<OutputSnr> sums;
  addSnr(sums, groupOutputs(reference), take(evaluate(reference, inputs)),
         take(evaluate(actual, inputs)));
  return sums[0][group].decibels();
}

} // namespace

TEST_CASE("quantize: x * sigmoid(x) is one rounding", "[quantize]") {
  Builder b;
  Model &model = siluNetwork(b);
  take(quantizeGraph(model, QuantizeOptions()));
  int roundings = 0;
  for (const Node &node : model.graph.nodes)
    if (node.opType == "QuantizeLinear") {
      std::string from = writer(model.graph, node.inputs[0]);
      CHECK(from != "Conv");
      CHECK(from != "Sigmoid");
      roundings += from == "Mul";
    }
  CHECK(roundings == 1);
}

TEST_CASE("ranges: outliers count, are left out, or are weighed", "[quantize]") {
  Builder b;
  ValueId x = b.input({1, 100000});
  Model &model = b.finish({b.node("Relu", {x}, {1, 100000})});
  Tensor sample = randomTensor(ElementType::Float32, {1, 100000}, 3);
  sample.mutableValues<float>()[7] = 1000;
  ValueId input = model.graph.inputs[0];
  auto high = [&](RangeMethod method) {
    return take(calibrate(model.graph, {{sample}}, method)).at(input).high;
  };
  CHECK(high(RangeMethod::MinMax) == 1000);
  // Half of 1 in 10 000 lies above 3.9 standard deviations.
  CHECK(high(RangeMethod::Percentile) > 3.5f);
  CHECK(high(RangeMethod::Percentile) < 5);
  // One of 100 000 at 1000: clipping it by d costs d^2, rounding 1e5 (range / 255)^2 / 12.
  float least = high(RangeMethod::MinError);
  CHECK(least < 1000);
  CHECK(least > 800);
}

TEST_CASE("ranges: samples add up whatever their sizes", "[quantize]") {
  Builder b;
  Model &model = b.finish({b.node("Relu", {b.input({1, 4096})}, {1, 4096})});
  Tensor small = randomTensor(ElementType::Float32, {1, 4096}, 3),
         large = randomTensor(ElementType::Float32, {1, 4096}, 4);
  for (float &x : large.mutableValues<float>())
    x *= 37;
  for (RangeMethod method : {RangeMethod::MinMax, RangeMethod::Percentile, RangeMethod::MinError}) {
    Ranges together = take(calibrate(model.graph, {{small}, {large}}, method));
    RangeStatistics statistics(method);
    REQUIRE(!statistics.add(model.graph, {{large}}));
    REQUIRE(!statistics.add(model.graph, {{small}}));
    for (const auto &[id, range] : statistics.ranges()) {
      CHECK(range.low == together.at(id).low);
      CHECK(range.high == together.at(id).high);
    }
  }
}

TEST_CASE("bias correction: channels keep their means", "[quantize]") {
  Builder b;
  Model &model = siluNetwork(b);
  std::vector<std::vector<Tensor>> samples = {{positiveImage({1, 3, 8, 8}, 1)},
                                              {positiveImage({1, 3, 8, 8}, 2)}};
  Graph original = model.graph;
  QuantizeOptions options;
  options.foldLimit = 0;
  options.ranges = take(calibrate(model.graph, samples));
  take(quantizeGraph(model, options));
  Graph before = model.graph;
  auto outputs = take(reconstruct(model.graph, original, samples));
  auto shift = [&](const Graph &graph) {
    double worst = 0;
    for (int64_t channel = 0; channel < 4; ++channel) {
      double sum = 0;
      for (size_t k = 0; k < 2; ++k) {
        Tensor y = take(evaluate(graph, samples[k]))[0];
        for (int64_t i = 0; i < 36; ++i)
          sum += y.asDouble(channel * 36 + i) -
                 take(evaluate(original, samples[k]))[0].asDouble(channel * 36 + i);
      }
      worst = std::max(worst, std::fabs(sum / 72));
    }
    return worst;
  };
  CHECK(shift(before) > 1e-3);
  CHECK(shift(model.graph) < shift(before) / 10);
  for (size_t k = 0; k < 2; ++k) // what the sweep saw is what the graph now computes
    CHECK(worstDifference(outputs[k][0], take(evaluate(model.graph, samples[k]))[0]) < 1e-5);
}

TEST_CASE("fit: weights of noisy inputs shrink, as Wiener says", "[quantize]") {
  struct Case {
    Node node;
    Shape weights, input, result;
  };
  Node conv{"c", "Conv", "", {}, {}, {}}, gemm{"g", "Gemm", "", {}, {}, {{"transB", integer(1)}}};
  Node depthwise{"d", "Conv", "", {}, {}, {{"group", integer(2)}}},
      product{"m", "MatMul", "", {}, {}, {}};
  for (const Case &c : {Case{conv, {3, 2, 1, 1}, {1, 2, 64, 64}, {1, 3, 64, 64}},
                        Case{depthwise, {2, 1, 1, 1}, {1, 2, 64, 64}, {1, 2, 64, 64}},
                        Case{gemm, {3, 2}, {4096, 2}, {4096, 3}},
                        Case{product, {2, 3}, {4, 1024, 2}, {4, 1024, 3}}}) {
    INFO(c.node.name);
    Tensor weights = randomTensor(ElementType::Float32, c.weights, 1);
    Tensor exact = randomTensor(ElementType::Float32, c.input, 2);
    Tensor noise = randomTensor(ElementType::Float32, c.input, 3);
    auto sum = [&](float noisePart, float offset) {
      std::vector<float> values = exact.values<float>().vec();
      for (size_t i = 0; i < values.size(); ++i)
        values[i] += noisePart * noise.values<float>()[i] + offset;
      return Tensor::of<float>(ElementType::Float32, c.input, values);
    };
    Tensor result = take(evaluateNode(c.node, {exact, weights}))[0];
    REQUIRE(result.shape() == llvm::ArrayRef<int64_t>(c.result));
    // As much noise as signal: half the weight gives the least error.
    std::optional<Tensor> fitted = fitWeights(c.node, weights, false, {sum(1, 0)}, {result});
    REQUIRE(fitted);
    for (int64_t i = 0; i < weights.size(); ++i)
      CHECK(fitted->asDouble(i) == Approx(0.5 * weights.asDouble(i)).margin(0.06));
    // An offset is the bias's to take up, where there is one.
    fitted = fitWeights(c.node, weights, true, {sum(0, 5)}, {result});
    CHECK((!fitted || worstDifference(*fitted, weights) < 1e-3));
    fitted = fitWeights(c.node, weights, false, {sum(0, 5)}, {result});
    CHECK((fitted && worstDifference(*fitted, weights) > 0.1));
  }
}

TEST_CASE("fit: what serves only the samples at hand is left out", "[quantize]") {
  // Two samples of four positions, eight inputs: a fit without penalty would be exact, and
  // worthless.
  Node node{"m", "MatMul", "", {}, {}, {}};
  Tensor weights = randomTensor(ElementType::Float32, {8, 1}, 1);
  auto samples = [&](uint64_t seed, std::vector<Tensor> &inputs, std::vector<Tensor> &results) {
    for (uint64_t k = seed; k < seed + 2; ++k) {
      Tensor exact = randomTensor(ElementType::Float32, {4, 8}, k);
      std::vector<float> values =
          take(evaluateNode(node, {exact, weights}))[0].values<float>().vec();
      for (size_t i = 0; i < values.size(); ++i) // noise that no input tells anything of
        values[i] += randomTensor(ElementType::Float32, {4, 1}, k + 100).values<float>()[i];
      inputs.push_back(exact);
      results.push_back(Tensor::of<float>(ElementType::Float32, {4, 1}, values));
    }
  };
  double distance = 0;
  for (uint64_t seed = 0; seed < 100; seed += 2) {
    std::vector<Tensor> inputs, results;
    samples(1000 * (seed + 1), inputs, results);
    Tensor fitted = fitWeights(node, weights, false, inputs, results).value_or(weights);
    for (int64_t i = 0; i < 8; ++i)
      distance += std::pow(fitted.asDouble(i) - weights.asDouble(i), 2) / 50;
  }
  CHECK(distance < 0.2); // with the least penalty each time it is 19
}

TEST_CASE("reconstruction: leaves exact layers, and the original's constants, alone",
          "[quantize]") {
  Builder b;
  Model &model = siluNetwork(b);
  Graph original = model.graph;
  std::vector<std::vector<Tensor>> samples = {{positiveImage({1, 3, 8, 8}, 1)}};
  Tensor result = take(evaluate(original, samples[0]))[0];
  take(reconstruct(model.graph, original, samples)); // still in float: there is no noise
  CHECK(worstDifference(result, take(evaluate(model.graph, samples[0]))[0]) < 1e-5);
  QuantizeOptions options;
  options.foldLimit = 0;
  options.ranges = take(calibrate(model.graph, samples));
  take(quantizeGraph(model, options));
  take(reconstruct(model.graph, original, samples));
  CHECK(worstDifference(result, take(evaluate(original, samples[0]))[0]) == 0);
  CHECK(count(model.graph, "ReduceMax") == 0); // what rounds weights has been evaluated,
  const Node *conv = find(model.graph, "Conv");
  REQUIRE(conv);
  for (ValueId id : {conv->inputs[1], conv->inputs[2]}) { // and they are integers
    REQUIRE(writer(model.graph, id) == "DequantizeLinear");
    for (const Node &node : model.graph.nodes)
      if (node.outputs[0] == id)
        CHECK(model.graph.constant(node.inputs[0]) != nullptr);
  }
}

TEST_CASE("reconstruction: weights that the network computes", "[quantize]") {
  Builder b;
  ValueId x = b.input({1, 3, 8, 8});
  ValueId y = b.node("Conv", {x, b.constant({4, 3, 3, 3}), b.constant({4})}, {1, 4, 6, 6});
  ValueId weights = b.node("Div", {b.constant({4, 4, 1, 1}), b.constant({}, 0, 8)}, {4, 4, 1, 1});
  Model &model = b.finish({b.node("Conv", {y, weights, b.constant({4})}, {1, 4, 6, 6})});
  model.graph.nodes[2].name = "last";
  Graph original = model.graph;
  std::vector<std::vector<Tensor>> samples = {
      {randomTensor(ElementType::Float32, {1, 3, 8, 8}, 1)}};
  QuantizeOptions options;
  options.foldLimit = 0;
  options.ranges = take(calibrate(model.graph, samples));
  for (bool inFloat : {false, true}) {
    Model quantized = model;
    options.exclude.clear();
    if (inFloat)
      options.exclude.insert("last");
    take(quantizeGraph(quantized, options));
    take(reconstruct(quantized.graph, original, samples));
    CHECK(snrOf(original, quantized.graph, samples[0]) > 30);
  }
}

TEST_CASE("snr: outputs split where branches are joined", "[quantize]") {
  Builder b;
  ValueId x = b.input({1, 2, 4, 4});
  ValueId y = b.node("Concat", {x, b.node("Sigmoid", {x}, {1, 2, 4, 4})}, {1, 4, 4, 4},
                     {{"axis", integer(1)}});
  y = b.node("Reshape", {y, b.ints({1, 4, 16})}, {1, 4, 16});
  y = b.node("Transpose", {y}, {1, 16, 4}, {{"perm", integers({0, 2, 1})}});
  Model &model = b.finish({y});
  std::vector<OutputGroups> groups = groupOutputs(model.graph);
  REQUIRE(groups[0].groups.size() == 2);
  CHECK(groups[0].axis == 2);
  CHECK(groups[0].groups[1].begin == 2);
  CHECK(groups[0].groups[1].end == 4);

  // A tenth of the signal as noise in the second group only: 20 dB there.
  Tensor reference = take(evaluate(model.graph, {positiveImage({1, 2, 4, 4}, 1)}))[0];
  std::vector<float> values = reference.values<float>().vec();
  for (size_t i = 0; i < values.size(); ++i)
    if (i % 4 >= 2)
      values[i] *= 1.1f;
  Tensor noisy = Tensor::of<float>(ElementType::Float32, {1, 16, 4}, values);
  std::vector<OutputSnr> sums;
  addSnr(sums, groups, {reference}, {noisy});
  CHECK(sums[0][1].decibels() == 200);
  CHECK(sums[0][2].decibels() == Approx(20).margin(1e-4));
  CHECK(sums[0][0].decibels() > 20);
}

TEST_CASE("post-training: a layer that disturbs the output stays in float", "[quantize]") {
  // Two images become very different in size, and a depthwise convolution evens them out: what a
  // common grid takes from the small one, no weights can bring back.
  Builder b;
  ValueId x = b.input({1, 2, 8, 8});
  std::vector<float> widen = {100, 0.01f}, narrow = {0.01f, 100};
  ValueId y = b.node(
      "Conv",
      {x, b.edit->addFloats("w", ElementType::Float32, {2, 1, 1, 1}, widen), b.constant({2}, 0)},
      {1, 2, 8, 8}, {{"group", integer(2)}});
  y = b.node(
      "Conv",
      {y, b.edit->addFloats("d", ElementType::Float32, {2, 1, 1, 1}, narrow), b.constant({2}, 0)},
      {1, 2, 8, 8}, {{"group", integer(2)}});
  y = b.node("Conv", {y, b.constant({64, 2, 3, 3}), b.constant({64})}, {1, 64, 6, 6});
  Model &model = b.finish({y});
  Graph original = model.graph;
  model.graph.nodes[1].name = original.nodes[1].name = "depthwise";
  std::vector<std::vector<Tensor>> samples = {
      {randomTensor(ElementType::Float32, {1, 2, 8, 8}, 1)}};
  Model plain = model;
  PostTrainingOptions options;
  Ranges ranges = take(calibrate(model.graph, samples));
  QuantizeReport report = take(quantizeMeasured(model, samples, ranges, options));
  CHECK(llvm::is_contained(report.floatNodes, "depthwise"));
  CHECK(report.quantizedMacs >= 0.95 * report.macs);
  CHECK(snrOf(original, model.graph, samples[0]) > 25);

  options.maxFloatShare = 0;
  report = take(quantizeMeasured(plain, samples, ranges, options));
  CHECK(report.floatNodes.empty());
  CHECK(snrOf(original, plain.graph, samples[0]) < 15);
}

TEST_CASE("post-training: SNR of networks on real images", "[quantize]") {
  struct Case {
    const char *name;
    std::vector<double> leastDb; ///< by group
  };
  for (const Case &c : {Case{"squeezenet_fp32", {35}}, Case{"yolox_nano", {20, 20, 20, 20}}}) {
    std::string folder = std::string(NPUCC_SHARED_DIR "/models/") + c.name;
    if (!llvm::sys::fs::exists(folder + "/model.onnx")) {
      WARN("skipped: " << folder << " is absent");
      continue;
    }
    Model model = take(loadModel(folder + "/model.onnx"));
    REQUIRE(!prepare(model, {}));
    take(foldBatchNorm(model));
    Graph original = model.graph;
    std::vector<std::vector<Tensor>> samples = {
        {take(readNpy(folder + "/test_data_0/input_0.npy"))}};
    QuantizeReport report =
        take(quantizeMeasured(model, samples, take(calibrate(model.graph, samples)), {}));
    CHECK(report.quantizedMacs >= 0.95 * report.macs);
    for (size_t g = 0; g < c.leastDb.size(); ++g) {
      INFO(c.name << ", group " << g);
      CHECK(snrOf(original, model.graph, samples[0], g) > c.leastDb[g]);
    }
  }
}
