//===- NodeTests.cpp - ONNX's node tests against a list of known failures -===//
//
// usage: npucc_onnx_node_tests EXPECTED_FAILURES FOLDER
//
// Every case is loaded, prepared and evaluated by the reference. A failure that
// is not listed fails the test, and so does a listed one that passes: the list
// says exactly what is missing.
//
//===----------------------------------------------------------------------===//

#include "tests/runtime/ops/CaseRunner.h"

#include "llvm/Support/GlobPattern.h"
#include "llvm/Support/LineIterator.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <optional>

using namespace npucc;
using namespace npucc::test;

namespace {

/// A line of the list: cases that fail.
struct Expectation {
  llvm::StringRef text; ///< a name, or a pattern with '*'
  llvm::GlobPattern pattern;
  unsigned matches = 0;
};

/// Reads "NAME: REASON" lines; '#' begins a comment. The patterns refer to `file`.
std::optional<std::vector<Expectation>> readExpectations(const llvm::MemoryBuffer &file) {
  std::vector<Expectation> result;
  for (llvm::line_iterator line(file, /*SkipBlanks=*/true, '#'); !line.is_at_eof(); ++line) {
    auto [name, reason] = line->split(": ");
    llvm::Expected<llvm::GlobPattern> pattern = llvm::GlobPattern::create(name);
    if (llvm::Error error = pattern.takeError(); error || reason.trim().empty()) {
      llvm::consumeError(std::move(error));
      llvm::errs() << file.getBufferIdentifier() << ':' << line.line_number()
                   << ": expected NAME: REASON\n";
      return std::nullopt;
    }
    result.push_back({name, std::move(*pattern)});
  }
  return result;
}

/// Why the case fails; empty when all its data sets give what is stored.
std::string run(const std::string &folder) {
  for (int set = 0;; ++set) {
    std::string data = folder + "/test_data_set_" + std::to_string(set);
    if (!llvm::sys::fs::is_directory(data))
      return set ? "" : "has no data";
    auto inputs = readNumbered(data + "/input_", ".pb");
    if (!inputs)
      return llvm::toString(inputs.takeError());
    auto outputs = readNumbered(data + "/output_", ".pb");
    if (!outputs)
      return llvm::toString(outputs.takeError());
    CaseResult result = runCase(folder + "/model.onnx", *inputs, *outputs, {});
    if (!result.message.empty())
      return result.message;
  }
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 3) {
    llvm::errs() << "usage: npucc_onnx_node_tests EXPECTED_FAILURES FOLDER\n";
    return 1;
  }
  auto file = llvm::MemoryBuffer::getFile(argv[1]);
  if (!file) {
    llvm::errs() << argv[1] << ": " << file.getError().message() << '\n';
    return 1;
  }
  auto expectations = readExpectations(**file);
  if (!expectations)
    return 1;
  unsigned passed = 0, expected = 0, wrong = 0;
  for (const std::string &folder : entries(argv[2])) {
    if (!llvm::sys::fs::exists(folder + "/model.onnx"))
      continue;
    std::string name = llvm::sys::path::filename(folder).str(), message = run(folder);
    auto line =
        llvm::find_if(*expectations, [&](const Expectation &e) { return e.pattern.match(name); });
    bool listed = line != expectations->end();
    if (listed)
      ++line->matches;
    if (listed == message.empty()) {
      ++wrong;
      llvm::outs() << name << ": "
                   << (listed ? "passes, but is listed as '" + line->text.str() + "'" : message)
                   << '\n';
    } else {
      ++(listed ? expected : passed);
    }
  }
  for (const Expectation &e : *expectations)
    if (e.matches == 0) {
      ++wrong;
      llvm::outs() << e.text << ": is listed, but no case has that name\n";
    }
  llvm::outs() << passed << " passed, " << expected << " failed as expected, " << wrong
               << " differ from the list\n";
  return wrong || !passed;
}
