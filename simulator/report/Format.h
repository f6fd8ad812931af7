//===- Format.h - Numbers, tables and colours for people ----------*- C++ -*-===//
#pragma once

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"

#include <string>
#include <vector>

namespace npucc {

/// Four significant digits: "1.234", "12.34", "1234", "0.01234".
std::string significant(double value, int digits = 4);
/// With an SI prefix: si(0.00123, "s") is "1.23 ms". Zero and what is not finite have none.
std::string si(double value, llvm::StringRef unit, int digits = 4);
/// "1 234 567".
std::string grouped(int64_t value);
/// "12.3 %" of a fraction.
std::string percent(double fraction);
/// "3.2x"; three significant digits.
std::string times(double ratio);
/// At most `columns` wide, cut in the middle; control characters become '?'.
std::string fit(llvm::StringRef text, size_t columns);

/// Columns that line up; numbers to the right.
class TextTable {
public:
  /// One letter a column: 'l' or 'r'.
  explicit TextTable(std::string alignment) : alignment(std::move(alignment)) {}
  void add(std::vector<std::string> row) { rows.push_back(std::move(row)); }
  bool empty() const { return rows.empty(); }
  /// The first row is the heading (`headStyle` ... `endStyle` around it).
  void print(llvm::raw_ostream &os, unsigned indent, llvm::StringRef headStyle = "",
             llvm::StringRef endStyle = "") const;

private:
  std::string alignment;
  std::vector<std::vector<std::string>> rows;
};

/// Escape sequences, or nothing.
struct Style {
  explicit Style(bool color);
  llvm::StringRef bold, dim, good, bad, end;
};

/// Text for HTML.
std::string escapeHtml(llvm::StringRef text);

} // namespace npucc
