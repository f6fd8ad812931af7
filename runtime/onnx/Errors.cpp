//===- Errors.cpp - One-line errors -------------------------------------------===//

#include "runtime/onnx/Errors.h"

using namespace npucc;

std::string npucc::oneLine(std::string text) {
  constexpr size_t limit = 800; // a list out of a file can be as long as the file
  if (text.size() > limit)
    text.replace(limit, std::string::npos, "...");
  for (char &c : text)
    if (static_cast<unsigned char>(c) < 32 || c == 127)
      c = '?';
  return text;
}

std::string npucc::quoted(llvm::StringRef name) {
  constexpr size_t limit = 120;
  std::string result = "'" + oneLine(name.take_front(limit).str());
  if (name.size() > limit)
    result += "...";
  return result + "'";
}

llvm::Error npucc::prefixed(llvm::Error error, llvm::StringRef prefix) {
  if (!error)
    return error;
  return makeError("{0}{1}", prefix, llvm::toString(std::move(error)));
}
