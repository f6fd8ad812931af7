//===- EmitAccess.cpp - Accesses and conditions in bytes --------------------===//

#include "compiler/emit/ProgramEmitter.h"

#include "compiler/emit/Body.h"

#include <cmath>

using namespace npucc;
using namespace npucc::emission;

ElementType npucc::storageType(mlir::Type type, bool isUnsigned) {
  auto integer = dyn_cast<IntegerType>(type);
  if (isUnsigned && integer && integer.getWidth() > 1)
    type = IntegerType::get(type.getContext(), integer.getWidth(), IntegerType::Unsigned);
  return type.isIndex() ? ElementType::Int64 : fromMlirType(type);
}

/// Splits a linear expression into a constant, dim and symbol coefficients.
static void split(AffineExpr expr, int64_t factor, MutableArrayRef<int64_t> dims,
                  MutableArrayRef<int64_t> symbols, int64_t &constant) {
  if (auto c = dyn_cast<AffineConstantExpr>(expr))
    constant += factor * c.getValue();
  else if (auto d = dyn_cast<AffineDimExpr>(expr))
    dims[d.getPosition()] += factor;
  else if (auto s = dyn_cast<AffineSymbolExpr>(expr))
    symbols[s.getPosition()] += factor;
  else if (auto binary = dyn_cast<AffineBinaryOpExpr>(expr)) {
    if (expr.getKind() == AffineExprKind::Add) {
      split(binary.getLHS(), factor, dims, symbols, constant);
      split(binary.getRHS(), factor, dims, symbols, constant);
    } else if (auto c = dyn_cast<AffineConstantExpr>(binary.getRHS())) {
      split(binary.getLHS(), factor * c.getValue(), dims, symbols, constant);
    }
  }
}

Affine ProgramEmitter::affine(AffineExpr expr, ValueRange ivs) {
  Affine result;
  SmallVector<int64_t> symbols(ivs.size(), 0), dims(16, 0);
  split(expr, 1, dims, symbols, result.constant);
  for (auto [iv, coefficient] : llvm::zip(ivs, symbols))
    if (coefficient)
      result.terms.push_back({loops[iv], coefficient});
  return result;
}

Condition ProgramEmitter::condition(std::optional<AffineMap> map, ValueRange ivs) {
  Condition result;
  if (!map)
    return result;
  result.always = false;
  result.value = affine(map->getResult(0), ivs);
  return result;
}

/// Address of the element at the given coordinates of the memref (symbols: loops).
Address ProgramEmitter::address(Value memref, ArrayRef<AffineExpr> coordinates, ValueRange ivs) {
  auto type = cast<MemRefType>(memref.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  npu::staticStrides(type, strides, offset);
  int64_t bytes = npu::elementBytes(type.getElementType());
  Address result;
  result.space = Space(int(npu::spaceOf(type)));
  AffineExpr sum = getAffineConstantExpr(offset, function.getContext());
  for (auto [coordinate, stride] : llvm::zip(coordinates, strides))
    sum = sum + coordinate * stride;
  result.offset = affine(sum, ivs);
  result.offset.constant *= bytes;
  for (Affine::Term &term : result.offset.terms)
    term.coefficient *= bytes;
  Value root = npu::rootOf(memref);
  if (result.space == Space::Dram) {
    result.offset.constant += program.tensors[tensors[root]].address;
  } else {
    auto buffer = root.getDefiningOp<npu::BufferOp>();
    result.offset.constant += buffer.getAddress().value_or(0);
    auto ring = rings.find(root);
    if (ring != rings.end())
      result.ring = ring->second;
  }
  return result;
}

double npucc::emission::asStored(double value, ElementType type) {
  if (value < 0 && isInteger(type) && !isSigned(type))
    value += std::ldexp(1.0, bitWidth(type));
  return value;
}

Operand ProgramEmitter::operand(Value memref, npu::AccessAttr access, ValueRange ivs,
                                ElementType type) {
  Operand result;
  result.type = type;
  result.fill = asStored(access.getFill().getValueAsDouble(), type);
  auto memrefType = cast<MemRefType>(memref.getType());
  SmallVector<int64_t> memoryStrides;
  int64_t offset;
  npu::staticStrides(memrefType, memoryStrides, offset);
  int64_t bytes = npu::elementBytes(memrefType.getElementType());
  AffineMap map = access.getMap(), origin = access.getOrigin();
  result.strides.assign(map.getNumDims(), 0);
  MLIRContext *context = function.getContext();
  SmallVector<AffineExpr> base;
  SmallVector<AffineExpr> noDims(map.getNumDims(), getAffineConstantExpr(0, context));
  for (unsigned r = 0; r < map.getNumResults(); ++r) {
    SmallVector<int64_t> dimCoefficients(map.getNumDims(), 0), symbols(ivs.size(), 0);
    int64_t constant = 0;
    split(map.getResult(r), 1, dimCoefficients, symbols, constant);
    for (size_t d = 0; d < dimCoefficients.size(); ++d)
      result.strides[d] += dimCoefficients[d] * memoryStrides[r] * bytes;
    AffineExpr start = map.getResult(r).replaceDims(noDims);
    base.push_back(start - origin.getResult(r));
    if (access.getBounds()[r] >= 0) {
      Guard guard;
      guard.start = affine(start, ivs);
      guard.coefficients.assign(dimCoefficients.begin(), dimCoefficients.end());
      guard.bound = access.getBounds()[r];
      result.guards.push_back(guard);
    }
  }
  result.address = address(memref, base, ivs);
  return result;
}

void ProgramEmitter::dims(npu::NestAttr nest, ValueRange ivs, SmallVectorImpl<LoopDim> &result) {
  for (size_t d = 0; d < nest.getExtents().size(); ++d) {
    LoopDim dim;
    dim.extent = nest.getExtents()[d];
    dim.reduction = nest.getReduction()[d];
    dim.role = LoopRole(nest.getRoles()[d]);
    dim.start = affine(nest.getStarts().getResult(d), ivs);
    dim.clipped = nest.getBounds()[d] >= 0;
    dim.bound = dim.clipped ? nest.getBounds()[d] : 0;
    result.push_back(dim);
  }
}
