//===- ElementType.h - Element types of tensors -----------------*- C++ -*-===//
//
// One enumeration for files, programs and memories. The values are those of
// onnx::TensorProto::DataType, so that a model's numbers need no table.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace npucc {

enum class ElementType : uint8_t {
  Undefined = 0,
  Float32 = 1,
  Uint8 = 2,
  Int8 = 3,
  Uint16 = 4,
  Int16 = 5,
  Int32 = 6,
  Int64 = 7,
  String = 8,
  Bool = 9,
  Float16 = 10,
  Float64 = 11,
  Uint32 = 12,
  Uint64 = 13,
  Complex64 = 14,
  Complex128 = 15,
  BFloat16 = 16,
  Float8E4M3FN = 17,
  Float8E4M3FNUZ = 18,
  Float8E5M2 = 19,
  Float8E5M2FNUZ = 20,
  Uint4 = 21,
  Int4 = 22,
};

/// Bits of one element as it is stored in memory; 0 for String and Undefined.
/// 4-bit types are stored packed, two to a byte, low nibble first.
unsigned bitWidth(ElementType type);

bool isFloat(ElementType type);   ///< any floating-point format, not complex
bool isInteger(ElementType type); ///< any integer, signed or not; not Bool
bool isSigned(ElementType type);  ///< signed integer or float

/// The name used in messages, reports and machine files: "fp32", "int8",
/// "uint8", "bf16", "fp16", "fp8e4m3", "bool", ...
std::string_view name(ElementType type);

/// Inverse of name(); also accepts "float32", "float16", "i8", "u8" and alike.
std::optional<ElementType> parseElementType(std::string_view text);

} // namespace npucc
