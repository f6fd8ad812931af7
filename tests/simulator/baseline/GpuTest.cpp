//===- GpuTest.cpp - GPU baselines ----------------------------------------===//

#include "simulator/baseline/Baseline.h"
#include "models/energy/Samples.h"
#include "simulator/baseline/Roofline.h"
#include "simulator/baseline/Workload.h"

#include <catch2/catch.hpp>

using namespace npucc;

namespace {

Gpu gpu(const char *name) {
  auto result = loadGpu(name);
  if (!result)
    FAIL(llvm::toString(result.takeError()));
  return *result;
}

ValueId addValue(Graph &graph, const char *name, std::vector<int64_t> shape) {
  Value value;
  value.name = name;
  value.type = ElementType::Float32;
  value.dims.emplace();
  for (int64_t size : shape)
    value.dims->push_back({size, ""});
  graph.values.push_back(value);
  return static_cast<ValueId>(graph.values.size()) - 1;
}

/// x[M,K] * w[K,N] + b, then Relu.
Graph dense(int64_t m, int64_t k, int64_t n) {
  Graph graph;
  ValueId x = addValue(graph, "x", {m, k}), w = addValue(graph, "w", {k, n});
  ValueId b = addValue(graph, "b", {n}), product = addValue(graph, "product", {m, n});
  ValueId sum = addValue(graph, "sum", {m, n}), y = addValue(graph, "y", {m, n});
  graph.constants[w] = Tensor::zeros(ElementType::Float32, {k, n});
  graph.constants[b] = Tensor::zeros(ElementType::Float32, {n});
  graph.inputs = {x};
  graph.outputs = {y};
  graph.nodes = {{"product", "MatMul", "", {x, w}, {product}, {}},
                 {"sum", "Add", "", {product, b}, {sum}, {}},
                 {"y", "Relu", "", {sum}, {y}, {}}};
  return graph;
}

} // namespace

TEST_CASE("every GPU loads", "[gpu]") {
  REQUIRE(listGpus() == std::vector<std::string>{
                            "a10", "a100-pcie-40", "a100-pcie-80", "a100-sxm-40", "a100-sxm-80",
                            "a2", "a30", "h100-pcie", "h100-sxm", "h200-sxm", "jetson-agx-orin-64",
                            "l4", "l40s", "rtx4090", "rtx4090-laptop-16gb"});
  for (const std::string &name : listGpus()) {
    Gpu it = gpu(name.c_str());
    CHECK(it.name == name);
    CHECK(it.idleW + it.activeW.value < it.tdpW);
    CHECK(it.rates.count("int8"));
    CHECK_FALSE(it.source.empty());
  }
}

TEST_CASE("baseline lists", "[gpu]") {
  auto requests = parseBaselines("h100-sxm@tf32@64, l4");
  REQUIRE(bool(requests));
  REQUIRE(requests->size() == 2);
  CHECK((*requests)[0].precision == "tf32");
  CHECK((*requests)[0].batch == 64);
  CHECK((*requests)[1].name == "l4");
  CHECK((*requests)[1].batch == 0);
  CHECK(bool(parseBaselines(defaultBaselines())));
  auto none = parseBaselines("none");
  REQUIRE(bool(none));
  CHECK(none->empty());
  for (const char *bad : {"h100", "l4@0", "l4@int7", "l4@-3", "l4@99999999999999999999"}) {
    auto error = parseBaselines(bad);
    REQUIRE_FALSE(bool(error));
    CHECK_FALSE(llvm::toString(error.takeError()).empty());
  }
}

TEST_CASE("a GPU runs the fastest precision at no lower accuracy", "[gpu]") {
  Gpu h100 = gpu("h100-sxm"), a100 = gpu("a100-sxm-80");
  CHECK(matchPrecision(h100, "int8") == "int8");
  CHECK(matchPrecision(h100, "uint8") == "int8");
  CHECK(matchPrecision(h100, "int4") == "int8"); // Hopper has no int4
  CHECK(matchPrecision(a100, "int4") == "int4");
  CHECK(matchPrecision(h100, "fp8e4m3") == "fp8");
  CHECK(matchPrecision(a100, "fp8") == "fp16"); // Ampere has no fp8
  CHECK(matchPrecision(h100, "bf16") == "bf16");
  CHECK(matchPrecision(h100, "fp32") == "fp32"); // TF32 rounds to 10 bits
  CHECK(matchPrecision(h100, "int16") == "fp32");
}

TEST_CASE("elementwise operators join the product before them", "[gpu]") {
  Graph graph = dense(64, 256, 128);
  GpuWorkload workload = makeWorkload(graph, 4);
  REQUIRE(workload.kernels.size() == 1);
  const GpuKernel &kernel = workload.kernels[0];
  REQUIRE(kernel.contractions.size() == 1);
  CHECK(kernel.contractions[0].macs() == 64 * 256 * 128);
  CHECK(kernel.activationBytes == 4 * (64 * 256 + 64 * 128));
  CHECK(kernel.weightBytes == 4 * (256 * 128 + 128));
}

TEST_CASE("attention is one kernel, the projection after it another", "[gpu]") {
  Graph graph;
  ValueId q = addValue(graph, "q", {8, 64, 32}), k = addValue(graph, "k", {8, 32, 64});
  ValueId v = addValue(graph, "v", {8, 64, 32}), w = addValue(graph, "w", {32, 16});
  ValueId scores = addValue(graph, "scores", {8, 64, 64}), p = addValue(graph, "p", {8, 64, 64});
  ValueId mixed = addValue(graph, "mixed", {8, 64, 32}), y = addValue(graph, "y", {8, 64, 16});
  graph.constants[w] = Tensor::zeros(ElementType::Float32, {32, 16});
  graph.inputs = {q, k, v};
  graph.outputs = {y};
  graph.nodes = {{"scores", "MatMul", "", {q, k}, {scores}, {}},
                 {"p", "Softmax", "", {scores}, {p}, {}},
                 {"mixed", "MatMul", "", {p, v}, {mixed}, {}},
                 {"y", "MatMul", "", {mixed, w}, {y}, {}}};
  GpuWorkload workload = makeWorkload(graph, 2);
  REQUIRE(workload.kernels.size() == 2);
  CHECK(workload.kernels[0].contractions.size() == 2);
  CHECK(workload.kernels[0].scoreOps > 0);
  CHECK(workload.kernels[0].activationBytes == 2 * 4 * 8 * 64 * 32); // no scores
  CHECK(workload.kernels[1].contractions.size() == 1);
  CHECK(workload.kernels[1].weightBytes == 2 * 32 * 16);
}

TEST_CASE("products of one input with several weights are one", "[gpu]") {
  Graph graph = dense(64, 256, 128);
  ValueId w = addValue(graph, "w2", {256, 64}), z = addValue(graph, "z", {64, 64});
  graph.constants[w] = Tensor::zeros(ElementType::Float32, {256, 64});
  graph.nodes.push_back({"z", "MatMul", "", {graph.inputs[0], w}, {z}, {}});
  graph.outputs.push_back(z);
  GpuWorkload workload = makeWorkload(graph, 2);
  REQUIRE(workload.kernels.size() == 1);
  REQUIRE(workload.kernels[0].contractions.size() == 1);
  CHECK(workload.kernels[0].contractions[0].n == 128 + 64);
  CHECK(workload.kernels[0].activationBytes == 2 * 64 * (256 + 128 + 64)); // the input once
}

TEST_CASE("large products run near the sustained rate, small ones do not", "[gpu]") {
  Gpu h100 = gpu("h100-sxm");
  Graph large = dense(8192, 8192, 8192), small = dense(16, 64, 64);
  double ops = 2.0 * 8192 * 8192 * 8192;
  GpuRun run = runOnGpu(h100, large, 1, 1, "fp16");
  double fraction = ops / run.latencyS / h100.rates["fp16"].opsPerSecond;
  CHECK(fraction > 0.65); // 0.78 to 0.81 measured on an H200
  CHECK(fraction < 0.85);
  CHECK(run.boardEnergyJ / run.latencyS <= 700.0001);
  GpuRun tiny = runOnGpu(h100, small, 1, 1, "fp16");
  CHECK(tiny.latencyS > 1e-6);
  CHECK(tiny.latencyS < 20e-6);
}

TEST_CASE("times grow with the batch, throughput is best where the search says", "[gpu]") {
  Gpu l4 = gpu("l4");
  Graph graph = dense(32, 1024, 1024);
  double before = 0;
  GpuRun best = bestOnGpu(l4, graph, 1, "int8");
  for (int64_t batch = 1; batch <= 4096; batch *= 2) {
    GpuRun run = runOnGpu(l4, graph, 1, batch, "int8");
    CHECK(run.latencyS >= before * 0.999);
    CHECK(run.inferencesPerSecond() <= best.inferencesPerSecond() * 1.000001);
    before = run.latencyS;
  }
}

TEST_CASE("what memory cannot hold comes over the host link", "[gpu]") {
  Gpu small = gpu("h100-sxm"), large = small;
  Graph graph = dense(1, 16384, 16384); // 512 MB of weights in fp16
  small.memoryBytes = 4e8;
  GpuRun fits = runOnGpu(large, graph, 1, 1, "fp16"),
         streams = runOnGpu(small, graph, 1, 1, "fp16");
  CHECK(fits.streamedBytes == 0);
  double missing = 2.0 * 16384 * 16384 - 0.9 * 4e8;
  CHECK(streams.streamedBytes == Approx(missing).epsilon(0.01));
  CHECK(streams.latencyS == Approx(missing / small.hostLinkBytesPerSecond).epsilon(0.01));
  CHECK(fits.latencyS < 1e-3);
  // Many inferences share what is streamed once.
  GpuRun best = bestOnGpu(small, graph, 1, "fp16");
  CHECK(best.batch > 1);
  CHECK(best.inferencesPerSecond() > 10 * streams.inferencesPerSecond());
}

TEST_CASE("caches of all layers take memory at once", "[gpu]") {
  // Sixteen caches of 64 MB in fp16, each read by a kernel of its own.
  Graph graph;
  ValueId q = addValue(graph, "q", {1, 1, 1024});
  graph.inputs = {q};
  for (int i = 0; i < 16; ++i) {
    ValueId cache = addValue(graph, "cache", {1, 1024, 32768});
    ValueId y = addValue(graph, "y", {1, 1, 32768});
    graph.inputs.push_back(cache);
    graph.outputs.push_back(y);
    graph.nodes.push_back({"product", "MatMul", "", {q, cache}, {y}, {}});
  }
  GpuWorkload workload = makeWorkload(graph, 2);
  CHECK(workload.boundaryBytes == Approx(16 * 64.0 * 1024 * 1024).epsilon(0.001));
  Gpu l4 = gpu("l4");
  CHECK(streamedBytes(l4, workload, 1) == 0);
  CHECK(streamedBytes(l4, workload, 64) > 16 * 64e6 * 64 - l4.memoryBytes);
}

TEST_CASE("DLAs add throughput to int8 networks without attention", "[gpu]") {
  Gpu orin = gpu("jetson-agx-orin-64"), alone = orin;
  REQUIRE(orin.dla.count == 2);
  alone.dla.count = 0;
  Graph graph = dense(196, 1024, 1024);
  GpuRun both = bestOnGpu(orin, graph, 1, "int8"), one = bestOnGpu(alone, graph, 1, "int8");
  CHECK(one.besidePerSecond == 0);
  CHECK(both.inferencesPerSecond() > 1.1 * one.inferencesPerSecond());
  CHECK(both.boardEnergyJ > one.boardEnergyJ);
  CHECK(both.boardPowerW() <= orin.tdpW * 1.0001);
  CHECK(bestOnGpu(orin, graph, 1, "fp16").besidePerSecond == 0);
}

TEST_CASE("products of values after ReLU cost less energy", "[gpu]") {
  Graph graph = dense(4096, 4096, 4096);
  Graph two = graph;
  ValueId w = addValue(two, "w2", {4096, 4096}), z = addValue(two, "z", {4096, 4096});
  two.constants[w] = Tensor::zeros(ElementType::Float32, {4096, 4096});
  two.nodes.push_back({"z", "MatMul", "", {two.outputs[0], w}, {z}, {}});
  two.outputs = {z};
  GpuWorkload workload = makeWorkload(two, 1);
  REQUIRE(workload.kernels.size() == 2);
  CHECK_FALSE(workload.kernels[0].contractions[0].afterRelu);
  CHECK(workload.kernels[1].contractions[0].afterRelu);
  Gpu a100 = gpu("a100-sxm-80");
  KernelCost plain, relu;
  plain.seconds = relu.seconds = 1;
  plain.tensorOps = relu.tensorOps = relu.reluOps = 2e14;
  CHECK(boardEnergyJ(a100, relu, "int8", 1) < 0.9 * boardEnergyJ(a100, plain, "int8", 1));
}

TEST_CASE("long rows of a norm are read from DRAM again, those of a softmax are not", "[gpu]") {
  Gpu a100 = gpu("a100-sxm-80");
  auto perElement = [&](RowReduction rows) {
    GpuKernel kernel;
    kernel.reductions = {rows};
    kernel.writtenBytes = 2 * rows.rows * rows.length;
    kernel.activationBytes = 2 * kernel.writtenBytes;
    KernelCost cost = kernelCost(a100, kernel, 1, "fp16", 1, Launch::Framework);
    return cost.dramBytes / (rows.rows * rows.length);
  };
  CHECK(perElement(normRows(16384, 4096)) == Approx(4)); // once in, once out
  CHECK(perElement(normRows(4096, 32768)) > 6);
  CHECK(perElement(softmaxRows(4096, 32768)) == Approx(4));
}

TEST_CASE("a lower clock draws less power", "[gpu]") {
  Gpu a100 = gpu("a100-sxm-80");
  GpuWorkload workload = makeWorkload(dense(8192, 4096, 4096), 2);
  GpuRun fast = runWorkload(a100, workload, 1, 1, "fp16");
  GpuRun slow = runWorkload(a100, workload, 1, 1, "fp16", Launch::Engine, 0.7);
  CHECK(slow.clockRatio <= 0.7);
  CHECK(slow.latencyS > 1.3 * fast.latencyS);
  CHECK(slow.boardPowerW() < 0.75 * fast.boardPowerW());
}

TEST_CASE("ratios say how much better the NPU is", "[gpu]") {
  Graph graph = dense(32, 1024, 1024);
  NpuFigures npu;
  npu.batch = 1;
  npu.latencyS = 1e-3;
  npu.energyJ = 1e-3;
  npu.energySamplesJ = drawSamples("npu", 1e-3, 0.5e-3, 2e-3);
  npu.nodeNm = 7;
  npu.precision = "int8";
  auto requests = parseBaselines("l4@16");
  REQUIRE(bool(requests));
  auto rows = compareWithGpus(*requests, graph, npu);
  REQUIRE(bool(rows));
  REQUIRE(rows->size() == 2);
  const BaselineRow &same = (*rows)[0], &best = (*rows)[1];
  CHECK(same.rule == "same-batch");
  CHECK(same.batch == 1);
  CHECK(same.speedup.nominal == Approx(same.latencyS / npu.latencyS));
  CHECK(best.rule == "best-throughput");
  CHECK(best.batch == 16);
  CHECK(best.speedup.nominal == Approx(1000 / best.inferencesPerSecond));
  CHECK(best.efficiencyGain.nominal == Approx(best.energyJ / 16 / npu.energyJ));
  for (const BaselineRow &row : *rows) {
    CHECK(row.energyScope == "chip+dram");
    CHECK(row.efficiencyGain.low < row.efficiencyGain.nominal);
    CHECK(row.efficiencyGain.nominal < row.efficiencyGain.high);
    // 4 nm to 7 nm: the GPU would draw more, so that the NPU's gain grows.
    CHECK(row.efficiencyGainSameNode.nominal > row.efficiencyGain.nominal);
  }
}

TEST_CASE("asking a GPU for less accuracy is reported", "[gpu]") {
  Graph graph = dense(32, 256, 256);
  NpuFigures npu;
  npu.latencyS = npu.energyJ = 1e-3;
  npu.nodeNm = 7;
  npu.precision = "fp32";
  auto requests = parseBaselines("h100-sxm@tf32,h100-sxm,a100-sxm-80@fp8");
  REQUIRE(bool(requests));
  auto rows = compareWithGpus({(*requests)[0], (*requests)[1]}, graph, npu);
  REQUIRE(bool(rows));
  CHECK((*rows)[0].accuracyMatch == "no");
  CHECK((*rows)[2].accuracyMatch == "assumed");
  auto error = compareWithGpus({(*requests)[2]}, graph, npu);
  REQUIRE_FALSE(bool(error));
  CHECK_THAT(llvm::toString(error.takeError()), Catch::Contains("has no fp8"));
}
