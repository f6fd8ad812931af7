//===- BadFilesTest.cpp - npucc says what is wrong with a file, and ends ------===//

#include "tests/runtime/onnx/BadFiles.h"

#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"

using namespace npucc;
using namespace npucc::test;

TEST_CASE("npucc survives bad files", "[endtoend][badfiles]") {
  BadFiles files;
  TemporaryFolder folder;
  std::string errors = folder.file("stderr");
  int count[3] = {0, 0, 0};
  // Others than the loader's test has; the step takes all kinds in turn.
  FileRange range = FileRange::given({1000, 2020});
  for (unsigned index = range.first; index < range.end; index += 17) {
    std::string path = files.write(index), why;
    INFO("file " << index << ": " << files.what());
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
      continue;
    ++count[status];
    if (status == 1)
      CHECK(text.count('\n') == 1);
    if (status != 0)
      CHECK(text.size() > 1);
    CHECK_FALSE(text.contains("internal error"));
  }
  for (int times : count)
    CHECK(times > 0);
}
