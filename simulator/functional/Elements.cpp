//===- Elements.cpp - Stored numbers to f32 and i64, and back -------------===//

#include "simulator/functional/Elements.h"

#include "runtime/tensor/Float.h"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

using namespace npucc;

namespace {

template <class To, class From> To bitCast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

/// 2^(bits of T) as a float is exact, T's maximum may not be: compare with the former.
template <class T> T saturate(float value) {
  if constexpr (sizeof(T) < 4) {
    constexpr float low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
    value = value == value ? value : 0.f;
    value = value < low ? low : value;
    value = value > high ? high : value;
    return static_cast<T>(static_cast<int32_t>(value));
  } else {
    constexpr float limit = 2.f * static_cast<float>(std::numeric_limits<T>::max() / 2 + 1);
    constexpr float low = std::is_signed_v<T> ? -limit : 0.f;
    if (!(value == value))
      return 0;
    if (value >= limit)
      return std::numeric_limits<T>::max();
    return value <= low ? std::numeric_limits<T>::min() : static_cast<T>(value);
  }
}

template <class T> struct Plain {
  using Stored = T;
  static float toFloat(T v) { return static_cast<float>(v); }
  static int64_t toInt(T v) {
    if constexpr (std::is_floating_point_v<T>)
      return saturate<int64_t>(static_cast<float>(v));
    else
      return static_cast<int64_t>(v);
  }
  static T fromFloat(float v) {
    if constexpr (std::is_floating_point_v<T>)
      return v;
    else
      return saturate<T>(__builtin_rintf(v)); // the default rounding mode: half to even
  }
  static T fromInt(int64_t v) { return static_cast<T>(v); }
};

struct Boolean {
  using Stored = uint8_t;
  static float toFloat(uint8_t v) { return v ? 1.f : 0.f; }
  static int64_t toInt(uint8_t v) { return v != 0; }
  static uint8_t fromFloat(float v) { return v != 0.f; }
  static uint8_t fromInt(int64_t v) { return v != 0; }
};

template <bool isSigned> struct Nibble {
  using Stored = uint8_t;
  static int64_t toInt(uint8_t v) {
    return isSigned ? static_cast<int8_t>(v << 4) >> 4 : static_cast<int8_t>(v & 15);
  }
  static float toFloat(uint8_t v) { return static_cast<float>(toInt(v)); }
  static uint8_t fromFloat(float v) {
    constexpr float low = isSigned ? -8 : 0, high = isSigned ? 7 : 15;
    v = __builtin_rintf(v == v ? v : 0.f);
    v = v < low ? low : v > high ? high : v;
    return static_cast<int>(v) & 15;
  }
  static uint8_t fromInt(int64_t v) { return v & 15; }
};

/// Formats that compute in f32.
template <class Format> struct Small : Format {
  static int64_t toInt(typename Format::Stored v) { return saturate<int64_t>(Format::toFloat(v)); }
  static typename Format::Stored fromInt(int64_t v) {
    return Format::fromFloat(static_cast<float>(v));
  }
};

struct Brain {
  using Stored = uint16_t;
  static float toFloat(uint16_t v) { return bitCast<float>(uint32_t(v) << 16); }
  static uint16_t fromFloat(float v) {
    auto bits = bitCast<uint32_t>(v);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return v == v ? rounded : (bits >> 16 | 0x40);
  }
};

struct Half {
  using Stored = uint16_t;
  static float toFloat(uint16_t v) {
    uint32_t bits = uint32_t(v & 0x7fff) << 13;
    // Multiplying by 2^112 moves the exponent and normalises subnormals.
    auto moved = bitCast<uint32_t>(bitCast<float>(bits) * bitCast<float>(uint32_t(239) << 23));
    moved = bits >= (31u << 23) ? bits | 0x7f800000u : moved;
    return bitCast<float>(moved | uint32_t(v & 0x8000) << 16);
  }
  static uint16_t fromFloat(float v) {
    auto bits = bitCast<uint32_t>(v);
    uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    // Adding 0.5 lets the FPU round a subnormal result in the last place.
    uint32_t tiny = bitCast<uint32_t>(bitCast<float>(size) + 0.5f) - 0x3f000000u;
    uint32_t normal = (size - (112u << 23) + 0xfff + (size >> 13 & 1)) >> 13;
    uint32_t huge = size > 0x7f800000u ? 0x7e00 : 0x7c00;
    uint32_t result = size >= 0x47800000u ? huge : size < 0x38800000u ? tiny : normal;
    return static_cast<uint16_t>(sign | result);
  }
};

template <ElementType type> struct Tiny {
  using Stored = uint8_t;
  static float toFloat(uint8_t v) {
    static const std::array<float, 256> table = [] {
      std::array<float, 256> values;
      for (unsigned i = 0; i < 256; ++i)
        values[i] = static_cast<float>(decodeFloat(type, i));
      return values;
    }();
    return table[v];
  }
  static uint8_t fromFloat(float v) { return static_cast<uint8_t>(encodeFloat(type, v)); }
};

template <class S> S at(const uint8_t *from) {
  S value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class E, class To, To (*convert)(typename E::Stored)>
void load(const uint8_t *from, int64_t stride, int64_t count, To *to) {
  using S = typename E::Stored;
  if (stride == 0) {
    To value = convert(at<S>(from));
    for (int64_t i = 0; i < count; ++i)
      to[i] = value;
  } else if (stride == sizeof(S)) {
    for (int64_t i = 0; i < count; ++i)
      to[i] = convert(at<S>(from + i * sizeof(S)));
  } else {
    for (int64_t i = 0; i < count; ++i)
      to[i] = convert(at<S>(from + i * stride));
  }
}

template <class E, class From, typename E::Stored (*convert)(From)>
void store(uint8_t *to, int64_t stride, int64_t count, const From *from) {
  using S = typename E::Stored;
  if (stride == sizeof(S)) {
    for (int64_t i = 0; i < count; ++i) {
      S value = convert(from[i]);
      std::memcpy(to + i * sizeof(S), &value, sizeof value);
    }
  } else {
    for (int64_t i = 0; i < count; ++i) {
      S value = convert(from[i]);
      std::memcpy(to + i * stride, &value, sizeof value);
    }
  }
}

template <class E> constexpr ElementAccess accessVia() {
  return {load<E, float, E::toFloat>, load<E, int64_t, E::toInt>, store<E, float, E::fromFloat>,
          store<E, int64_t, E::fromInt>};
}

constexpr size_t kTypes = static_cast<size_t>(ElementType::Int4) + 1;

constexpr std::array<ElementAccess, kTypes> makeTable() {
  std::array<ElementAccess, kTypes> table{};
  auto set = [&](ElementType type, ElementAccess access) constexpr {
    table[static_cast<size_t>(type)] = access;
  };
  set(ElementType::Float32, accessVia<Plain<float>>());
  set(ElementType::Float64, accessVia<Plain<double>>());
  set(ElementType::Uint8, accessVia<Plain<uint8_t>>());
  set(ElementType::Int8, accessVia<Plain<int8_t>>());
  set(ElementType::Uint16, accessVia<Plain<uint16_t>>());
  set(ElementType::Int16, accessVia<Plain<int16_t>>());
  set(ElementType::Uint32, accessVia<Plain<uint32_t>>());
  set(ElementType::Int32, accessVia<Plain<int32_t>>());
  set(ElementType::Uint64, accessVia<Plain<uint64_t>>());
  set(ElementType::Int64, accessVia<Plain<int64_t>>());
  set(ElementType::Bool, accessVia<Boolean>());
  set(ElementType::Float16, accessVia<Small<Half>>());
  set(ElementType::BFloat16, accessVia<Small<Brain>>());
  set(ElementType::Float8E4M3FN, accessVia<Small<Tiny<ElementType::Float8E4M3FN>>>());
  set(ElementType::Float8E4M3FNUZ, accessVia<Small<Tiny<ElementType::Float8E4M3FNUZ>>>());
  set(ElementType::Float8E5M2, accessVia<Small<Tiny<ElementType::Float8E5M2>>>());
  set(ElementType::Float8E5M2FNUZ, accessVia<Small<Tiny<ElementType::Float8E5M2FNUZ>>>());
  set(ElementType::Uint4, accessVia<Nibble<false>>());
  set(ElementType::Int4, accessVia<Nibble<true>>());
  return table;
}

constexpr std::array<ElementAccess, kTypes> kTable = makeTable();

template <class T> void truncateLoop(int64_t count, const float *from, int64_t *to) {
  for (int64_t i = 0; i < count; ++i)
    to[i] = static_cast<int64_t>(saturate<T>(std::trunc(from[i])));
}

} // namespace

const ElementAccess &npucc::accessOf(ElementType type) { return kTable[static_cast<size_t>(type)]; }

double npucc::decodeElement(ElementType type, const uint8_t *from) {
  if (type == ElementType::Float64)
    return at<double>(from);
  if (type == ElementType::Uint64)
    return static_cast<double>(at<uint64_t>(from));
  if (isFloat(type)) {
    float value = 0;
    accessOf(type).loadFloats(from, 0, 1, &value);
    return value;
  }
  int64_t value = 0;
  if (accessOf(type).loadInts)
    accessOf(type).loadInts(from, 0, 1, &value);
  return static_cast<double>(value);
}

void npucc::encodeElement(ElementType type, double value, uint8_t *to) {
  if (type == ElementType::Float64) {
    std::memcpy(to, &value, sizeof value);
  } else if (type == ElementType::Float32) {
    auto single = static_cast<float>(value);
    std::memcpy(to, &single, sizeof single);
  } else if (isFloat(type)) {
    uint32_t bits = encodeFloat(type, value);
    std::memcpy(to, &bits, elementBytes(type));
  } else if (type == ElementType::Bool) {
    *to = value != 0;
  } else if (accessOf(type).storeInts) {
    int64_t bits = bitWidth(type);
    double limit = std::ldexp(1.0, static_cast<int>(isSigned(type) ? bits - 1 : bits));
    value = std::nearbyint(std::isnan(value) ? 0 : value);
    if (value >= limit) { // all ones below the sign
      uint64_t most = ~uint64_t(0) >> (64 - bits + (isSigned(type) ? 1 : 0));
      std::memcpy(to, &most, elementBytes(type));
    } else if (value < 0 && !isSigned(type)) {
      std::memset(to, 0, elementBytes(type));
    } else if (type == ElementType::Uint64) {
      auto integer = static_cast<uint64_t>(value);
      std::memcpy(to, &integer, sizeof integer);
    } else {
      auto integer = static_cast<int64_t>(value < -limit ? -limit : value);
      accessOf(type).storeInts(to, 8, 1, &integer);
    }
  }
}

void npucc::roundTo(ElementType format, int64_t count, const float *from, float *to) {
  if (format == ElementType::BFloat16) {
    for (int64_t i = 0; i < count; ++i)
      to[i] = Brain::toFloat(Brain::fromFloat(from[i]));
  } else if (format == ElementType::Float16) {
    for (int64_t i = 0; i < count; ++i)
      to[i] = Half::toFloat(Half::fromFloat(from[i]));
  } else if (isFloat(format) && bitWidth(format) == 8) {
    for (int64_t i = 0; i < count; ++i)
      to[i] = static_cast<float>(decodeFloat(format, encodeFloat(format, from[i])));
  } else if (to != from) {
    std::memmove(to, from, count * sizeof *to);
  }
}

void npucc::wrapTo(ElementType type, int64_t count, int64_t *values) {
  auto each = [&](auto convert) {
    for (int64_t i = 0; i < count; ++i)
      values[i] = convert(values[i]);
  };
  switch (type) {
  case ElementType::Int8:
    return each([](int64_t v) -> int64_t { return static_cast<int8_t>(v); });
  case ElementType::Uint8:
    return each([](int64_t v) -> int64_t { return static_cast<uint8_t>(v); });
  case ElementType::Int16:
    return each([](int64_t v) -> int64_t { return static_cast<int16_t>(v); });
  case ElementType::Uint16:
    return each([](int64_t v) -> int64_t { return static_cast<uint16_t>(v); });
  case ElementType::Int32:
    return each([](int64_t v) -> int64_t { return static_cast<int32_t>(v); });
  case ElementType::Uint32:
    return each([](int64_t v) -> int64_t { return static_cast<uint32_t>(v); });
  case ElementType::Bool:
    return each([](int64_t v) -> int64_t { return v != 0; });
  case ElementType::Int4:
    return each([](int64_t v) -> int64_t { return Nibble<true>::toInt(v & 15); });
  case ElementType::Uint4:
    return each([](int64_t v) -> int64_t { return v & 15; });
  default:
    return;
  }
}

void npucc::truncateTo(ElementType type, int64_t count, const float *from, int64_t *to) {
  switch (type) {
  case ElementType::Int8:
    return truncateLoop<int8_t>(count, from, to);
  case ElementType::Uint8:
    return truncateLoop<uint8_t>(count, from, to);
  case ElementType::Int16:
    return truncateLoop<int16_t>(count, from, to);
  case ElementType::Uint16:
    return truncateLoop<uint16_t>(count, from, to);
  case ElementType::Int32:
    return truncateLoop<int32_t>(count, from, to);
  case ElementType::Uint32:
    return truncateLoop<uint32_t>(count, from, to);
  case ElementType::Uint64:
    return truncateLoop<uint64_t>(count, from, to);
  case ElementType::Bool:
    for (int64_t i = 0; i < count; ++i)
      to[i] = from[i] != 0;
    return;
  case ElementType::Int4:
  case ElementType::Uint4: {
    int64_t low = type == ElementType::Int4 ? -8 : 0, high = low + 15;
    truncateLoop<int8_t>(count, from, to);
    for (int64_t i = 0; i < count; ++i)
      to[i] = to[i] < low ? low : to[i] > high ? high : to[i];
    return;
  }
  default:
    return truncateLoop<int64_t>(count, from, to);
  }
}
