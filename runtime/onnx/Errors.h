//===- Errors.h - One-line errors -------------------------------*- C++ -*-===//
#pragma once

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Errc.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FormatVariadic.h"

#include <string>

namespace npucc {

/// The text on one line of bounded length: control characters, which a file's strings may hold,
/// become "?".
std::string oneLine(std::string text);

/// An error with a formatv message.
template <typename... Ts> llvm::Error makeError(const char *format, Ts &&...values) {
  return llvm::createStringError(llvm::make_error_code(llvm::errc::invalid_argument),
                                 oneLine(llvm::formatv(format, std::forward<Ts>(values)...).str()));
}

/// A name out of a file in quotes: on one line and of bounded length, whatever it holds.
std::string quoted(llvm::StringRef name);

/// The same error with `prefix` before it; success stays success.
llvm::Error prefixed(llvm::Error error, llvm::StringRef prefix);

} // namespace npucc
