//===- Files.cpp - Writing report files ---------------------------------------===//

#include "simulator/report/Files.h"

#include "runtime/onnx/Errors.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace npucc;

llvm::Error npucc::writeFile(const std::string &path,
                             llvm::function_ref<void(llvm::raw_ostream &)> write) {
  if (path.empty())
    return llvm::Error::success();
  std::error_code error;
  llvm::ToolOutputFile file(path, error, llvm::sys::fs::OF_None);
  if (!error) {
    write(file.os());
    file.os().flush();
    error = file.os().error();
    file.os().clear_error();
  }
  if (error)
    return makeError("cannot write {0}: {1}", quoted(path), error.message());
  file.keep();
  return llvm::Error::success();
}
