//===- BadFilesTest.cpp - npucc says what is wrong with a file, and ends ------===//

#include "tests/runtime/onnx/BadFiles.h"

#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"

using namespace npucc;
using namespace npucc::test;

namespace {

/// Compiles and simulates a file without data, within 2 s of processor time and 500 MB. Returns
/// the exit status, which must be 0, 1 or 2 with a message that suits it (and says `says`, which
/// only an error can); else -1.
int runOn(const std::string &path, const std::string &errors, const char *says = nullptr) {
  std::string why;
  std::optional<llvm::sys::ProcessStatistics> statistics;
  std::vector<llvm::StringRef> arguments{NPUCC_TOOL, path,      "--mode",     "timing", "--batch",
                                         "1",        "--quiet", "--baseline", "none"};
  llvm::sys::fs::remove(errors); // it would be written over, not anew
  int status = llvm::sys::ExecuteAndWait(NPUCC_TOOL, arguments, std::nullopt,
                                         {llvm::StringRef(), llvm::StringRef(""), errors},
                                         /*SecondsToWait=*/60, /*MemoryLimit=*/0, &why,
                                         /*ExecutionFailed=*/nullptr, &statistics);
  auto buffer = llvm::MemoryBuffer::getFile(errors);
  REQUIRE(buffer);
  llvm::StringRef text = (*buffer)->getBuffer();
  INFO("exit status " << status << " " << why << ": " << text.str());
  CHECK(status >= 0);
  CHECK(status <= 2);
  if (status < 0 || status > 2)
    return -1;
  REQUIRE(statistics);
  CHECK(statistics->TotalTime.count() < 2000000); // microseconds
  CHECK(statistics->PeakMemory < 500000);         // kB
  if (status == 1)
    CHECK(text.count('\n') == 1);
  if (says) {
    CHECK(status == 1);
    CHECK(text.contains(says));
  }
  if (status != 0)
    CHECK(text.size() > 1);
  CHECK_FALSE(text.contains("internal error"));
  return status;
}

} // namespace

TEST_CASE("npucc survives bad files", "[endtoend][badfiles]") {
  BadFiles files;
  TemporaryFolder folder;
  std::string errors = folder.file("stderr");
  int count[3] = {0, 0, 0};
  // Others than the loader's test has; the step takes all kinds in turn, each at least twice.
  FileRange range = FileRange::given({1000, 2258});
  for (unsigned index = range.first; index < range.end; index += 17) {
    std::string path = files.write(index);
    const BadKind &kind = BadFiles::kindOf(index);
    INFO("file " << index << ": " << kind.name << files.details());
    int status = runOn(path, errors, kind.says);
    if (status >= 0)
      ++count[status];
    else if (const char *keep = std::getenv("NPUCC_KEEP_BAD_FILES"))
      llvm::sys::fs::copy_file(path, keep + ("/" + std::to_string(index)) + ".onnx");
  }
  for (int times : count)
    CHECK(times > 0);
}

TEST_CASE("npucc survives what the fuzzer found", "[endtoend][fuzz]") {
  TemporaryFolder folder;
  std::error_code code;
  int files = 0;
  for (llvm::sys::fs::directory_iterator it(NPUCC_REGRESSIONS_DIR, code), end; it != end && !code;
       it.increment(code)) {
    INFO(it->path());
    runOn(it->path(), folder.file("stderr"));
    ++files;
  }
  CHECK(files > 0);
}
