//===- Classes.cpp - What is expected of each class of components ---------===//
//
// Exponents before any row is seen, with how far the rows may easily pull them: multipliers grow
// with the square of their width, adders and registers linearly, bit lines with the square root of
// the capacity.
//
//===----------------------------------------------------------------------===//

#include "models/energy/Estimate.h"

#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace npucc {

namespace {

ComponentClass energy(const char *name, const char *title,
                      std::vector<ComponentClass::Exponent> exponents) {
  ComponentClass c;
  c.name = name;
  c.title = title;
  c.exponents = std::move(exponents);
  return c;
}

/// Areas shrink with the exponent that Stillmaker and Baas have from 45 to 7 nm.
ComponentClass area(const char *name, const char *title,
                    std::vector<ComponentClass::Exponent> exponents) {
  ComponentClass c = energy(name, title, std::move(exponents));
  c.area = true;
  c.nodeExponent = 1.52;
  c.nodeTolerance = 0.1;
  c.voltageExponent = 0;
  return c;
}

/// The same at any node.
ComponentClass ratio(const char *name, const char *title) {
  ComponentClass c = area(name, title, {});
  c.nodeExponent = 0;
  return c;
}

ComponentClass power(const char *name, const char *title, double voltageExponent) {
  ComponentClass c = energy(name, title, {});
  // Leakage and clock power of a mm2 hardly follow the node; both tables that we have say so.
  c.nodeExponent = 0;
  c.nodeTolerance = 0.3;
  c.voltageExponent = voltageExponent;
  return c;
}

std::vector<ComponentClass> makeClasses() {
  // Exponent of the cycle: sizing a circuit for speed costs energy.
  const ComponentClass::Exponent kCycle = {Size::CycleNs, -0.3, 0.2};
  std::vector<ComponentClass> classes = {
      energy("int_adder", "integer adder", {{Size::Bits, 1, 0.15}, kCycle}),
      energy("int_multiplier", "integer multiplier", {{Size::Bits, 2, 0.2}, kCycle}),
      energy("float_adder", "floating-point adder", {{Size::Significand, 1.1, 0.2}}),
      energy("float_multiplier", "floating-point multiplier", {{Size::Significand, 1.6, 0.2}}),
      energy("register", "register bit", {}),
      // Bit lines and sense amplifiers go with the width, decoder and word-line control do not.
      energy("sram", "SRAM access", {{Size::Kib, 0.4, 0.3}, {Size::WidthBits, 0.75, 0.15}}),
      energy("wire", "wire of one bit and mm", {}),
      energy("router", "router of one bit and hop", {}),
      energy("instruction", "instruction of an in-order core", {}),
      energy("adc", "analog to digital converter", {{Size::Bits, 2.5, 1}}),
      energy("dac", "digital to analog converter", {{Size::Bits, 1, 0.5}}),
      area("area_int_adder", "area of an integer adder", {{Size::Bits, 1, 0.15}}),
      area("area_int_multiplier", "area of an integer multiplier", {{Size::Bits, 2, 0.2}}),
      area("area_float_adder", "area of a floating-point adder", {{Size::Significand, 1.2, 0.3}}),
      area("area_float_multiplier", "area of a floating-point multiplier",
           {{Size::Significand, 1.8, 0.3}}),
      area("area_register", "area of a register bit", {}),
      area("area_bitcell", "area of an SRAM cell", {}),
      ratio("layout_matrix", "array over the area of its components"),
      ratio("layout_sram", "memory over the area of its cells"),
      ratio("share_noc", "interconnect over what it joins"),
      area("area_control", "area of a control core", {}),
      ratio("phy_lpddr", "area of a data pin's PHY"), ratio("phy_ddr", "area of a data pin's PHY"),
      ratio("phy_gddr", "area of a data pin's PHY"), ratio("phy_hbm", "area of a data pin's PHY"),
      power("leakage_logic", "leakage of a mm2 of logic", 1),
      power("leakage_sram", "leakage of a MiB of SRAM", 1),
      power("clock_tree", "clock tree of a mm2 and cycle", 2)};
  for (ComponentClass &c : classes) {
    if (c.name == "sram")
      c.sizeScalesWithNode = true;
    // A wire's capacitance for each mm stays; its energy falls with the voltage alone.
    if (c.name == "wire" || c.name == "router")
      c.nodeExponent = c.name == "wire" ? 0.05 : 0.3;
    // A register's with the capacitance of its transistors.
    if (c.name == "register") {
      c.nodeExponent = 1;
      c.nodeTolerance = 0.5;
    }
  }
  return classes;
}

} // namespace

ArrayRef<ComponentClass> componentClasses() {
  static const std::vector<ComponentClass> kClasses = makeClasses();
  return kClasses;
}

const ComponentClass *findComponentClass(StringRef name) {
  for (const ComponentClass &c : componentClasses())
    if (c.name == name)
      return &c;
  return nullptr;
}

} // namespace npucc
