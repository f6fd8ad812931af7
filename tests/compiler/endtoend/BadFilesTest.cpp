//===- BadFilesTest.cpp - npucc says what is wrong with a file, and ends ------===//

#include "tests/runtime/onnx/BadFiles.h"

#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"

using namespace npucc;
using namespace npucc::test;

namespace {

/// Compiles and simulates a file without data. Returns the exit status, which must be 0, 1 or 2
/// with a message that suits it; else -1.
int runOn(const std::string &path, const std::string &errors) {
  std::string why;
  std::vector<llvm::StringRef> arguments{NPUCC_TOOL, path,      "--mode",     "timing", "--batch",
                                         "1",        "--quiet", "--baseline", "none"};
  llvm::sys::fs::remove(errors); // it would be written over, not anew
  int status = llvm::sys::ExecuteAndWait(NPUCC_TOOL, arguments, std::nullopt,
                                         {llvm::StringRef(), llvm::StringRef(""), errors},
                                         /*SecondsToWait=*/20, /*MemoryLimit=*/0, &why);
  auto buffer = llvm::MemoryBuffer::getFile(errors);
  REQUIRE(buffer);
  llvm::StringRef text = (*buffer)->getBuffer();
  INFO("exit status " << status << " " << why << ": " << text.str());
  CHECK(status >= 0);
  CHECK(status <= 2);
  if (status < 0 || status > 2)
    return -1;
  if (status == 1)
    CHECK(text.count('\n') == 1);
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
  // Others than the loader's test has; the step takes all kinds in turn.
  FileRange range = FileRange::given({1000, 2020});
  for (unsigned index = range.first; index < range.end; index += 17) {
    std::string path = files.write(index);
    INFO("file " << index << ": " << files.what());
    int status = runOn(path, errors);
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
