//===- BadFilesTest.cpp - Hostile files are errors, not crashes ---------------===//

#include "tests/runtime/onnx/BadFiles.h"

#include "runtime/reference/Reference.h"

#include <algorithm>
#include <map>

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

rusage used() {
  rusage usage;
  REQUIRE(getrusage(RUSAGE_SELF, &usage) == 0);
  return usage;
}
/// Of the processor, so that other work on the machine does not count.
double cpuSeconds() {
  auto seconds = [](const timeval &t) { return double(t.tv_sec) + double(t.tv_usec) * 1e-6; };
  rusage usage = used();
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}
int64_t peakMegabytes() { return used().ru_maxrss / 1024; }

} // namespace

TEST_CASE("bad files are errors of one line", "[loader][badfiles]") {
  BadFiles files;
  int loaded = 0, evaluated = 0;
  std::map<std::string, int> ofKind;
  // What does not end becomes a crash that names the file.
  auto previous = std::signal(SIGALRM, [](int) { std::raise(SIGABRT); });
  FileRange range = FileRange::given({0, 1000});
  for (unsigned index = range.first; index < range.end; ++index) {
    std::string path = files.write(index);
    const BadKind &kind = BadFiles::kindOf(index);
    ++ofKind[kind.name];
    INFO("file " << index << ": " << kind.name << files.details());
    alarm(20);
    double start = cpuSeconds();
    llvm::Error error = use(path, index, evaluated);
    CHECK(cpuSeconds() - start < 2);
    alarm(0);
    if (!error) {
      CHECK_FALSE(kind.says);
      ++loaded;
      continue;
    }
    std::string text = llvm::toString(std::move(error));
    INFO(text);
    CHECK_FALSE(text.empty());
    CHECK(
        std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 32 && c != 127; }));
    CHECK(text.size() < 1000);
    if (kind.says)
      CHECK(text.find(kind.says) != std::string::npos);
  }
  std::signal(SIGALRM, previous);
  // Not all of them fail, and not all for the same early reason.
  CHECK(loaded > 100);
  CHECK(evaluated > 100);
  if (range.end - range.first >= 1000)
    for (const BadKind &kind : BadFiles::kinds()) {
      INFO(kind.name);
      CHECK(ofKind[kind.name] >= 25);
    }
  CHECK(peakMegabytes() < 500);
}
