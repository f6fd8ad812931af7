//===- Sha256.h - The fingerprint of a file ---------------------*- C++ -*-===//
#pragma once

#include "llvm/ADT/StringRef.h"

#include <string>

namespace npucc {

/// SHA-256 of the bytes, in lower-case hexadecimal.
std::string sha256Hex(llvm::StringRef bytes);

} // namespace npucc
