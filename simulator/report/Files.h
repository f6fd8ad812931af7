//===- Files.h - Writing report files -----------------------------*- C++ -*-===//
#pragma once

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

#include <string>

namespace npucc {

/// Writes a file by `write`; an empty path writes nothing. What cannot be written whole is
/// removed and an error.
llvm::Error writeFile(const std::string &path, llvm::function_ref<void(llvm::raw_ostream &)> write);

} // namespace npucc
