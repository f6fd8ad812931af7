//===- Format.cpp - Numbers, tables and colours for people ----------------===//

#include "simulator/report/Format.h"

#include "llvm/Support/Unicode.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

using namespace llvm;

namespace npucc {

namespace {

size_t width(StringRef text) {
  int columns = sys::unicode::columnWidthUTF8(text);
  return columns < 0 ? text.size() : static_cast<size_t>(columns);
}

std::string plain(double value, int decimals) {
  char buffer[64];
  snprintf(buffer, sizeof buffer, "%.*f", std::clamp(decimals, 0, 12), value);
  return buffer;
}

} // namespace

std::string significant(double value, int digits) {
  if (!std::isfinite(value))
    return "-";
  if (value == 0)
    return "0";
  // The exponent after rounding: 999.96 has four digits before the point.
  char buffer[64];
  snprintf(buffer, sizeof buffer, "%.*e", digits - 1, value);
  int exponent = std::atoi(StringRef(buffer).split('e').second.data());
  if (exponent >= 9 || exponent < -6)
    return buffer;
  return plain(value, digits - 1 - exponent);
}

std::string si(double value, StringRef unit, int digits) {
  static const char *const kPrefixes[] = {"f", "p", "n", "u", "m", "",
                                          "k", "M", "G", "T", "P", "E"};
  constexpr int kNone = 5;
  int index = kNone;
  double scaled = value;
  if (std::isfinite(value) && value != 0) {
    // Rounded first, so that 999.96 becomes 1.000 k and not 1000.
    auto rounded = [&] {
      double unitOfLast = std::pow(10.0, std::floor(std::log10(std::fabs(scaled))) - (digits - 1));
      return std::round(std::fabs(scaled) / unitOfLast) * unitOfLast;
    };
    while (rounded() >= 1000 && index + 1 < static_cast<int>(std::size(kPrefixes))) {
      scaled /= 1000;
      ++index;
    }
    while (rounded() < 1 && index > 0) {
      scaled *= 1000;
      --index;
    }
  }
  return significant(scaled, digits) + " " + kPrefixes[index] + unit.str();
}

std::string grouped(int64_t value) {
  std::string digits = std::to_string(value);
  for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > (value < 0 ? 1 : 0); at -= 3)
    digits.insert(static_cast<size_t>(at), " ");
  return digits;
}

std::string percent(double fraction) {
  return std::isfinite(fraction) ? plain(fraction * 100, 1) + " %" : "-";
}

std::string times(double ratio) {
  return std::isfinite(ratio) && ratio > 0 ? significant(ratio, 3) + "x" : "-";
}

std::string fit(StringRef text, size_t columns) {
  std::string clean;
  for (char c : text)
    clean += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  if (width(clean) <= columns)
    return clean;
  // Names that are cut in the middle keep what tells them apart. Bytes above 0x7f may be parts
  // of one character: names of that kind are cut as ASCII.
  for (char &c : clean)
    if (static_cast<unsigned char>(c) >= 0x80)
      c = '?';
  if (clean.size() <= columns)
    return clean;
  if (columns <= 4)
    return clean.substr(0, columns);
  size_t head = (columns - 2) / 3, tail = columns - 2 - head;
  return clean.substr(0, head) + ".." + clean.substr(clean.size() - tail);
}

void TextTable::print(raw_ostream &os, unsigned indent, StringRef headStyle,
                      StringRef endStyle) const {
  std::vector<size_t> widths(alignment.size(), 0);
  for (const auto &row : rows)
    for (size_t i = 0; i < row.size() && i < widths.size(); ++i)
      widths[i] = std::max(widths[i], width(row[i]));
  for (size_t r = 0; r < rows.size(); ++r) {
    std::string line(indent, ' ');
    for (size_t i = 0; i < rows[r].size() && i < widths.size(); ++i) {
      std::string pad(widths[i] - width(rows[r][i]), ' ');
      line += alignment[i] == 'r' ? pad + rows[r][i] : rows[r][i] + pad;
      line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    if (r == 0)
      os << headStyle << line << endStyle << "\n";
    else
      os << line << "\n";
  }
}

Style::Style(bool color) {
  if (!color)
    return;
  bold = "\033[1m";
  dim = "\033[2m";
  good = "\033[32m";
  bad = "\033[31m";
  end = "\033[0m";
}

std::string escapeHtml(StringRef text) {
  std::string result;
  for (char c : text) {
    switch (c) {
    case '&':
      result += "&amp;";
      break;
    case '<':
      result += "&lt;";
      break;
    case '>':
      result += "&gt;";
      break;
    case '"':
      result += "&quot;";
      break;
    default:
      result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return result;
}

} // namespace npucc
