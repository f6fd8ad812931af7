//===- AttributeKinds.h - What kind of value an attribute has ---*- C++ -*-===//
#pragma once

#include "runtime/onnx/Graph.h"

#include "llvm/Support/Error.h"

namespace npucc {

/// Error where an attribute of an operator of ONNX or of ONNX Runtime has the wrong kind, which
/// would leave it at its default. Names that have several kinds in different operators or versions
/// (`value`, `to`, `p`) pass.
llvm::Error checkAttributeKind(llvm::StringRef name, const Attribute &attribute);
/// The index into Attribute::value of the kind that an attribute of this name has, where that is
/// known.
std::optional<size_t> attributeKind(llvm::StringRef name);

} // namespace npucc
