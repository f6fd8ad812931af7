//===- Library.h - Published energies and areas of components -----*- C++ -*-===//
//
// models/technology/library/*.yaml: a file for each source, a row for each figure. Rows are
// data; what follows from them is in Estimate.h.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "models/machine/DataFile.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <array>
#include <string>
#include <vector>

namespace npucc {

/// What a component's energy depends on beside node and voltage; absent (0) where a class has no
/// such size. `cycle_ns` stands only at circuits that were sized for that cycle.
enum class Size : uint8_t { Bits, Significand, Kib, WidthBits, CycleNs };
constexpr size_t kSizes = 5;
const char *sizeName(Size size);

struct Sizes {
  std::array<double, kSizes> values{};
  double operator[](Size size) const { return values[static_cast<size_t>(size)]; }
  double &operator[](Size size) { return values[static_cast<size_t>(size)]; }
  bool operator==(const Sizes &other) const { return values == other.values; }
  std::string text() const; ///< "8 bits", "128 KiB, 512 bits wide"
};

struct LibraryRow {
  std::string table, series; ///< file; rows of one series share what is off in all of them
  std::string className;     ///< "int_adder", "sram", "wire", ...
  Sizes sizes;
  double nodeNm = 0, voltageV = 0, value = 0, low = 0, high = 0;
  std::string unit, scope; ///< component, macro, chip, board, system
  /// read: in the source, or in a copy of it; confirmed: recalled and found in a second source;
  /// recalled; estimated.
  std::string provenance, source, note;
  bool check = false; ///< compared with the estimate, never part of one

  std::string name() const; ///< "jouppi-2021 int_adder 8 bits, 7 nm"
};

llvm::Expected<std::vector<LibraryRow>> parseLibraryTable(llvm::StringRef text,
                                                          llvm::StringRef fileName);
/// All tables, in the order of their names; read once.
llvm::Expected<const std::vector<LibraryRow> *> energyLibrary();

} // namespace npucc
