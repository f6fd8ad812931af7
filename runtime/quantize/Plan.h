//===- Plan.h - Which nodes compute on 8 bits -------------------*- C++ -*-===//
//
// Internal to runtime/quantize.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/quantize/GraphEdit.h"

namespace npucc {

struct QuantizeOptions;

/// How a node takes part.
enum class QuantRole : uint8_t {
  None,    ///< stays in floating point
  Matrix,  ///< multiplies 8-bit tensors
  Map,     ///< elementwise, pooling, interpolation: 8-bit tensors in and out
  Through, ///< moves or picks elements: input and output share scale and zero point
};

struct QuantPlan {
  std::vector<QuantRole> roles;  ///< by node index
  std::vector<bool> quantized;   ///< by value: gets QuantizeLinear and DequantizeLinear
  std::vector<ValueId> gridOf;   ///< by value: representative of those that share a grid
};

/// The range that a value's grid must hold: measured, or nominal (never negative behind a ReLU).
/// Zero is always in it, since padding and ReLU need it exactly.
struct Range valueRange(GraphEdit &edit, const QuantizeOptions &options, ValueId id);

QuantPlan planQuantization(GraphEdit &edit, const QuantizeOptions &options);

} // namespace npucc
