//===- ZooTest.cpp - Parameters and multiply-accumulates of the zoo -------===//

#include "models/zoo/Zoo.h"
#include "runtime/onnx/Loader.h"

#include <catch2/catch.hpp>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace npucc;

namespace {

ZooNetwork build(llvm::StringRef name) {
  auto network = buildZoo(name);
  if (!network)
    FAIL(llvm::toString(network.takeError()));
  return std::move(*network);
}

void prepareWith(ZooNetwork &network, const std::map<std::string, int64_t> &dims) {
  Bindings bindings;
  bindings.dims = dims;
  bindings.defaults = network.defaultDims;
  if (auto error = prepare(network.model, bindings))
    FAIL(network.name + ": " + llvm::toString(std::move(error)));
}

} // namespace

TEST_CASE("every network of the zoo has the published parameters and MACs", "[zoo]") {
  auto names = listZoo();
  REQUIRE(bool(names));
  REQUIRE(names->size() >= 11);
  for (const std::string &name : *names) {
    INFO(name);
    ZooNetwork network = build(name);
    CHECK(countParameters(network.model) == network.parameters);
    REQUIRE_FALSE(network.totals.empty());
    for (const ZooTotal &total : network.totals) {
      ZooNetwork copy = build(name);
      prepareWith(copy, total.dims);
      removeEmpty(copy.model.graph);
      CHECK(countMacs(copy.model.graph) == total.macs);
    }
  }
}

TEST_CASE("dimensions that are not given have the zoo's defaults", "[zoo]") {
  ZooNetwork network = build("llama3-8b");
  prepareWith(network, {{"past", 7}});
  const Graph &graph = network.model.graph;
  CHECK(graph.values[graph.inputs[0]].shape() == Shape{1, 1});
  CHECK(graph.values[graph.inputs[1]].shape() == Shape{1, 8, 7, 128});
}

TEST_CASE("weights of the zoo take no memory", "[zoo]") {
  ZooNetwork network = build("llama2-70b");
  prepareWith(network, {});
  int64_t bytes = 0;
  for (const auto &[id, tensor] : network.model.graph.constants)
    bytes += static_cast<int64_t>(tensor.byteSize());
  CHECK(bytes < 1 << 20);
}

TEST_CASE("the largest network opens in less than a second and 200 MB", "[zoo]") {
#if defined(__SANITIZE_ADDRESS__)
  WARN("memory is the sanitizer's: skipped");
#else
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    auto network = buildZoo("llama2-70b");
    if (!network)
      _exit(1);
    Bindings bindings;
    bindings.defaults = network->defaultDims;
    bool failed = bool(prepare(network->model, bindings));
    _exit(failed || countParameters(network->model) != network->parameters);
  }
  int status = 0;
  rusage usage{};
  REQUIRE(wait4(child, &status, 0, &usage) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  double seconds = double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   1e-6 * double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  CHECK(seconds < 1);
  CHECK(usage.ru_maxrss < 200 * 1024); // KiB
#endif
}

TEST_CASE("a name that the zoo does not have is an error with a suggestion", "[zoo]") {
  auto network = buildZoo("lama3-8b");
  REQUIRE_FALSE(bool(network));
  CHECK(llvm::toString(network.takeError()) ==
        "the zoo has no network 'lama3-8b'; did you mean 'llama3-8b'?; see --list-zoo");
  CHECK(zooName("zoo:vit-b16") == "vit-b16");
  CHECK(zooName("zoo/vit.onnx").empty());
}
