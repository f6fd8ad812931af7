//===- BadFilesTest.cpp - Hostile files are errors, not crashes ---------------===//

#include "tests/runtime/onnx/BadFiles.h"

#include "runtime/reference/Reference.h"

#include <algorithm>
#include <chrono>

#include <csignal>
#include <sys/resource.h>
#include <unistd.h>

using namespace npucc;
using namespace npucc::test;

namespace {

/// Bytes of all values of a graph; beyond a limit where one has no size yet or is large.
bool isSmall(const Graph &graph) {
  constexpr int64_t limit = 1 << 20;
  int64_t elements = 0;
  for (const Value &value : graph.values) {
    std::optional<int64_t> size =
        value.isStatic() ? checkedElementCount(value.shape()) : std::nullopt;
    if (!size || *size > limit - elements)
      return false;
    elements += *size;
  }
  for (const Node &node : graph.nodes)
    if (node.opType == "Loop")
      return false; // it may well be meant to run for long
  return countMacs(graph) < 10 * limit;
}

/// Loads, prepares and, where that is little work, evaluates. The error, if any.
llvm::Error use(const std::string &path, unsigned seed, int &evaluated) {
  auto model = loadModel(path);
  if (!model)
    return model.takeError();
  Bindings bindings;
  bindings.batch = seed % 3 ? std::nullopt : std::optional<int64_t>(1);
  if (llvm::Error error = prepare(*model, bindings))
    return error;
  countParameters(*model);
  if (!isSmall(model->graph))
    return llvm::Error::success();
  std::vector<Tensor> inputs;
  for (ValueId id : model->graph.inputs) {
    const Value &value = model->graph.values[id];
    inputs.push_back(randomTensor(value.type, value.shape(), seed));
  }
  auto outputs = evaluate(model->graph, inputs);
  if (!outputs)
    return outputs.takeError();
  ++evaluated;
  return llvm::Error::success();
}

int64_t peakMegabytes() {
  rusage usage;
  REQUIRE(getrusage(RUSAGE_SELF, &usage) == 0);
  return usage.ru_maxrss / 1024;
}

} // namespace

TEST_CASE("bad files are errors of one line", "[loader][badfiles]") {
  using Clock = std::chrono::steady_clock;
  int64_t before = peakMegabytes();
  BadFiles files;
  int loaded = 0, evaluated = 0;
  // What does not end becomes a crash that names the file.
  auto previous = std::signal(SIGALRM, [](int) { std::raise(SIGABRT); });
  FileRange range = FileRange::given({0, 1000});
  for (unsigned index = range.first; index < range.end; ++index) {
    std::string path = files.write(index);
    INFO("file " << index << ": " << files.what());
    alarm(20);
    auto start = Clock::now();
    llvm::Error error = use(path, index, evaluated);
    double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    alarm(0);
    CHECK(seconds < 2);
    if (!error) {
      ++loaded;
      continue;
    }
    std::string text = llvm::toString(std::move(error));
    INFO(text);
    CHECK_FALSE(text.empty());
    CHECK(
        std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 32 && c != 127; }));
    CHECK(text.size() < 1000);
  }
  std::signal(SIGALRM, previous);
  // Not all of them fail, and not all for the same early reason.
  CHECK(loaded > 100);
  CHECK(evaluated > 100);
  CHECK(peakMegabytes() < std::max<int64_t>(before + 100, 500));
}
