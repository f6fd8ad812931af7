//===- TestSupport.h - Shared by the tests of runtime/ ----------*- C++ -*-===//
#pragma once

#include "runtime/tensor/Tensor.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <string>

namespace npucc::test {

/// The text of an error that is expected.
template <typename T> std::string errorOf(llvm::Expected<T> value) {
  return value ? std::string("no error") : llvm::toString(value.takeError());
}
inline std::string errorOf(llvm::Error error) {
  return error ? llvm::toString(std::move(error)) : std::string("no error");
}

/// The value, or a failed test that shows the error.
template <typename T> T check(llvm::Expected<T> value) {
  if (!value)
    FAIL(llvm::toString(value.takeError()));
  return std::move(*value);
}
inline void check(llvm::Error error) {
  if (error)
    FAIL(llvm::toString(std::move(error)));
}

/// A folder that is gone after the test.
class TemporaryFolder {
public:
  TemporaryFolder() {
    if (std::error_code code = llvm::sys::fs::createUniqueDirectory("npucc-test", path))
      FAIL(code.message());
  }
  ~TemporaryFolder() { llvm::sys::fs::remove_directories(path); }
  std::string file(const std::string &name) const { return std::string(path) + "/" + name; }

private:
  llvm::SmallString<128> path;
};

/// The folder of shared test material, empty (with a message) where there is none.
inline std::string sharedFolder() {
  const char *given = std::getenv("NPUCC_SHARED");
  std::string folder = given ? given : "";
#ifdef NPUCC_SHARED_DIR
  if (folder.empty())
    folder = NPUCC_SHARED_DIR;
#endif
  if (!folder.empty() && llvm::sys::fs::is_directory(folder + "/models"))
    return folder;
  WARN("no shared models at '" << folder << "' (set NPUCC_SHARED): skipped");
  return {};
}

template <typename T> std::vector<T> listOf(const Tensor &tensor) {
  return tensor.values<T>().vec();
}
inline std::vector<int64_t> shapeOf(const Tensor &tensor) { return tensor.shape().vec(); }

} // namespace npucc::test
