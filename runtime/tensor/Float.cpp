//===- Float.cpp - Bits of the small floating-point formats -------------------===//

#include "runtime/tensor/Float.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace npucc;

namespace {

enum Specials : uint8_t {
  Ieee,      ///< the top exponent holds infinities and NaN
  OneNan,    ///< only the all-ones pattern is NaN, no infinity (E4M3FN)
  NegZeroNan ///< only the pattern of -0 is NaN, no infinity, no -0 (FNUZ)
};

struct Format {
  int exponentBits, mantissaBits, bias;
  Specials specials;
};

Format formatOf(ElementType type) {
  switch (type) {
  case ElementType::BFloat16:
    return {8, 7, 127, Ieee};
  case ElementType::Float8E4M3FN:
    return {4, 3, 7, OneNan};
  case ElementType::Float8E4M3FNUZ:
    return {4, 3, 8, NegZeroNan};
  case ElementType::Float8E5M2:
    return {5, 2, 15, Ieee};
  case ElementType::Float8E5M2FNUZ:
    return {5, 2, 16, NegZeroNan};
  default:
    return {5, 10, 15, Ieee}; // fp16
  }
}

} // namespace

double npucc::decodeFloat(ElementType type, uint32_t bits) {
  Format format = formatOf(type);
  uint32_t mantissaMask = (1u << format.mantissaBits) - 1;
  uint32_t exponentMask = (1u << format.exponentBits) - 1;
  uint32_t mantissa = bits & mantissaMask;
  uint32_t exponent = (bits >> format.mantissaBits) & exponentMask;
  uint32_t sign = (bits >> (format.mantissaBits + format.exponentBits)) & 1;
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();

  if (format.specials == Ieee && exponent == exponentMask) {
    if (mantissa)
      return nan;
    double infinity = std::numeric_limits<double>::infinity();
    return sign ? -infinity : infinity;
  }
  if (format.specials == OneNan && exponent == exponentMask && mantissa == mantissaMask)
    return nan;
  if (format.specials == NegZeroNan && sign && !exponent && !mantissa)
    return nan;

  double magnitude =
      exponent ? std::ldexp(static_cast<double>(mantissa + mantissaMask + 1),
                            static_cast<int>(exponent) - format.bias - format.mantissaBits)
               : std::ldexp(static_cast<double>(mantissa), 1 - format.bias - format.mantissaBits);
  return sign ? -magnitude : magnitude;
}

uint32_t npucc::encodeFloat(ElementType type, double value, bool saturate) {
  Format format = formatOf(type);
  bool fp8 = bitWidth(type) == 8;
  uint32_t exponentMask = (1u << format.exponentBits) - 1;
  uint32_t signBit = 1u << (format.mantissaBits + format.exponentBits);
  uint32_t sign = std::signbit(value) ? signBit : 0;

  // The patterns of NaN, of what overflows, and of the largest finite value.
  uint32_t nan, overflow, largest;
  switch (format.specials) {
  case Ieee:
    overflow = sign | (exponentMask << format.mantissaBits);
    nan = overflow | (1u << (format.mantissaBits - 1));
    largest = overflow - 1;
    break;
  case OneNan:
    nan = overflow = sign | (signBit - 1);
    largest = overflow - 1;
    break;
  case NegZeroNan:
    nan = overflow = signBit;
    largest = sign | (signBit - 1);
    break;
  }
  if (std::isnan(value))
    return nan;
  if (fp8 && saturate)
    overflow = largest;
  if (std::isinf(value))
    return overflow;

  double magnitude = std::fabs(value);
  uint32_t bits = 0;
  if (magnitude > 0) {
    int exponent;
    std::frexp(magnitude, &exponent); // magnitude = m * 2^exponent, m in [0.5, 1)
    // Exponent of the unit in the last place; subnormals share the lowest one.
    int unit = std::max(exponent - 1, 1 - format.bias) - format.mantissaBits;
    double scaled = std::nearbyint(std::ldexp(magnitude, -unit));
    int biased = unit + format.mantissaBits + format.bias; // >= 1
    // A carry out of the mantissa, and a subnormal that grew to a normal number,
    // both come out right when the integer is added to the shifted exponent.
    double pattern = scaled + std::ldexp(static_cast<double>(biased - 1), format.mantissaBits);
    if (pattern > static_cast<double>(largest & (signBit - 1)))
      return overflow;
    bits = static_cast<uint32_t>(pattern);
  }
  if (format.specials == NegZeroNan && bits == 0)
    return 0;
  return sign | bits;
}
