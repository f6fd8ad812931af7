//===- ServingTest.cpp - Continuous batching ------------------------------===//

#include "simulator/baseline/Serving.h"
#include "simulator/validate/Kinds.h"

#include <catch2/catch.hpp>

using namespace npucc;

namespace {

const Graph &llama(int64_t past) {
  static Networks networks;
  auto graph = networks.get("zoo:llama3-8b", {{"batch", 1}, {"seq", 1}, {"past", past}});
  if (!graph)
    FAIL(llvm::toString(graph.takeError()));
  return **graph;
}

Decoder decoder() {
  auto result = makeDecoder(llama(1024), 1024, llama(2048), 2048, "fp8");
  if (!result)
    FAIL(llvm::toString(result.takeError()));
  return *result;
}

Gpu h100() {
  auto gpu = loadGpu("h100-sxm");
  if (!gpu)
    FAIL(llvm::toString(gpu.takeError()));
  return *gpu;
}

} // namespace

TEST_CASE("what a decoder does is read from its graph", "[serving]") {
  Decoder llama = decoder();
  // 32 layers of 8 heads of 128, keys and values; 32 query heads.
  CHECK(llama.kvElementsPerPosition == 2 * 32 * 8 * 128);
  CHECK(llama.attentionMacsPerPosition == 2 * 32 * 32 * 128);
  CHECK(llama.attentionLayers == 32);
  // 8.03e9 parameters of one byte; norms have two.
  CHECK(llama.weightBytes == Approx(8.03e9).epsilon(0.01));
  double macs = 0;
  for (const Decoder::Repeated &entry : llama.perToken)
    for (const Contraction &c : entry.kernel.contractions)
      macs += entry.count * c.macs();
  CHECK(macs == 32.0 * 4096 * (2 * 4096 + 2 * 1024 + 3 * 14336));
  CHECK(llama.head.contractions.front().n == 128256);
}

TEST_CASE("memory bounds the requests in flight", "[serving]") {
  Decoder llama = decoder();
  Gpu gpu = h100();
  ServingLoad load{600, 128, 256};
  auto all = serve(gpu, llama, load, "fp8");
  REQUIRE(bool(all));
  CHECK(all->concurrent == 600);
  // Weights, the runtime's share, and 128 caches of 384 positions.
  gpu.memoryBytes = llama.weightBytes + 4e9 + 128.5 * 384 * 65536 / 0.95;
  auto some = serve(gpu, llama, load, "fp8");
  REQUIRE(bool(some));
  CHECK(some->concurrent == 128);
  CHECK(some->outputTokensPerSecond < 0.9 * all->outputTokensPerSecond);
  gpu.memoryBytes = llama.weightBytes + 4e9;
  auto none = serve(gpu, llama, load, "fp8");
  REQUIRE_FALSE(bool(none));
  CHECK(llvm::toString(none.takeError()) ==
        "the NVIDIA H100 SXM 80 GB has no room for one request");
}

TEST_CASE("one request at a time streams the weights for each token", "[serving]") {
  Decoder llama = decoder();
  Gpu gpu = h100();
  auto run = serve(gpu, llama, {1, 16, 200}, "fp8");
  REQUIRE(bool(run));
  double stream = llama.weightBytes / (gpu.dramBytesPerSecond * gpu.dramSustained);
  CHECK(1 / run->outputTokensPerSecond > stream);
  CHECK(1 / run->outputTokensPerSecond < 2 * stream);
}

TEST_CASE("a network without caches is no decoder", "[serving]") {
  Networks networks;
  auto graph = networks.get("zoo:resnet50", {});
  REQUIRE(bool(graph));
  auto error = makeDecoder(**graph, 1, **graph, 2, "int8");
  REQUIRE_FALSE(bool(error));
  CHECK_THAT(llvm::toString(error.takeError()), Catch::Contains("no decoder"));
}
