//===- NpuDialect.h - The npu dialect -----------------------------*- C++ -*-===//
//
// Commands of the NPU on memrefs. See NpuOps.td and docs/npu-dialect.md.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "compiler/npu/NpuDialect.h.inc"
#include "compiler/npu/NpuEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "compiler/npu/NpuAttrs.h.inc"

#define GET_OP_CLASSES
#include "compiler/npu/NpuOps.h.inc"

namespace npucc::npu {

/// The memory space of a memref; memrefs without one are in DRAM.
MemSpace spaceOf(mlir::MemRefType type);

/// Bytes of one element as stored: i1 and sub-byte integers take whole bytes in scratchpad.
int64_t elementBytes(mlir::Type type);

/// Strides in elements and the constant offset; every npu memref has a static strided layout.
void staticStrides(mlir::MemRefType type, llvm::SmallVectorImpl<int64_t> &strides, int64_t &offset);

/// Bytes from the first to behind the last element (offset not included).
int64_t spanBytes(mlir::MemRefType type);

/// The buffer, input or constant that a memref is a view of.
mlir::Value rootOf(mlir::Value memref);

} // namespace npucc::npu
