//===- ElementType.cpp - Element types of tensors -----------------------------===//

#include "runtime/tensor/ElementType.h"

#include <iterator>

using namespace npucc;

namespace {

enum Kind : uint8_t { Other, Unsigned, Signed, Float };

struct TypeInfo {
  unsigned bits;
  Kind kind;
  std::string_view name;
  std::string_view aliases[3]; ///< further spellings that parseElementType takes
};

/// Indexed by ElementType.
constexpr TypeInfo kTypes[] = {
    {0, Other, "undefined", {}},
    {32, Float, "fp32", {"float32", "float", "f32"}},
    {8, Unsigned, "uint8", {"u8"}},
    {8, Signed, "int8", {"i8"}},
    {16, Unsigned, "uint16", {"u16"}},
    {16, Signed, "int16", {"i16"}},
    {32, Signed, "int32", {"i32"}},
    {64, Signed, "int64", {"i64"}},
    {0, Other, "string", {}},
    {8, Other, "bool", {}},
    {16, Float, "fp16", {"float16", "half", "f16"}},
    {64, Float, "fp64", {"float64", "double", "f64"}},
    {32, Unsigned, "uint32", {"u32"}},
    {64, Unsigned, "uint64", {"u64"}},
    {64, Other, "complex64", {"c64"}},
    {128, Other, "complex128", {"c128"}},
    {16, Float, "bf16", {"bfloat16"}},
    {8, Float, "fp8e4m3", {"fp8", "float8e4m3fn", "fp8e4m3fn"}},
    {8, Float, "fp8e4m3fnuz", {"float8e4m3fnuz"}},
    {8, Float, "fp8e5m2", {"float8e5m2"}},
    {8, Float, "fp8e5m2fnuz", {"float8e5m2fnuz"}},
    {4, Unsigned, "uint4", {"u4"}},
    {4, Signed, "int4", {"i4"}},
};

const TypeInfo &info(ElementType type) {
  auto index = static_cast<size_t>(type);
  return kTypes[index < std::size(kTypes) ? index : 0];
}

} // namespace

unsigned npucc::bitWidth(ElementType type) { return info(type).bits; }

bool npucc::isFloat(ElementType type) { return info(type).kind == Float; }

bool npucc::isInteger(ElementType type) {
  return info(type).kind == Unsigned || info(type).kind == Signed;
}

bool npucc::isSigned(ElementType type) {
  return info(type).kind == Signed || info(type).kind == Float;
}

std::string_view npucc::name(ElementType type) { return info(type).name; }

std::optional<ElementType> npucc::parseElementType(std::string_view text) {
  for (size_t i = 1; i < std::size(kTypes); ++i) {
    if (kTypes[i].name == text)
      return static_cast<ElementType>(i);
    for (std::string_view alias : kTypes[i].aliases)
      if (!alias.empty() && alias == text)
        return static_cast<ElementType>(i);
  }
  return std::nullopt;
}
