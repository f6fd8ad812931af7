//===- Conformance.cpp - Cases with stored outputs, against the known failures ===//
//
// usage: npucc_conformance_tests reference|npucc EXPECTED_FAILURES FOLDER... [--only NAME]
//
//===----------------------------------------------------------------------===//

#include "tests/conformance/Cases.h"
#include "tests/conformance/Expectations.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

using namespace npucc::test;

constexpr int kSkipped = 77; ///< SKIP_RETURN_CODE of the tests

/// Why the case fails; empty when all its data sets give what is stored.
static std::string run(const Case &test, bool simulate) {
  for (const std::string &set : test.sets) {
    llvm::Expected<CaseData> data = readData(test, set);
    if (!data)
      return llvm::toString(data.takeError());
    std::string message =
        simulate ? throughNpucc(test.model, *data) : throughReference(test.model, *data);
    if (!message.empty())
      return message;
  }
  return test.sets.empty() ? "has no data" : "";
}

int main(int argc, char **argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  std::string only;
  if (arguments.size() > 2 && arguments[arguments.size() - 2] == "--only") {
    only = arguments.back();
    arguments.resize(arguments.size() - 2);
  }
  if (arguments.size() < 3 || (arguments[0] != "reference" && arguments[0] != "npucc")) {
    llvm::errs() << "usage: npucc_conformance_tests reference|npucc EXPECTED_FAILURES FOLDER... "
                    "[--only NAME]\n";
    return 1;
  }
  std::optional<Expectations> expectations = Expectations::read(arguments[1], arguments[0]);
  if (!expectations)
    return 1;
  for (const std::string &folder : llvm::ArrayRef(arguments).drop_front(2))
    if (!llvm::sys::fs::is_directory(folder)) {
      llvm::outs() << "skipped: there is no " << folder << '\n';
      return kSkipped;
    }
  setUpNpucc();
  for (const std::string &folder : llvm::ArrayRef(arguments).drop_front(2))
    for (const Case &test : findCases(folder))
      if (only.empty() || test.name == only)
        expectations->check(test.name, run(test, arguments[0] == "npucc"));
  return !expectations->finish(only.empty());
}
