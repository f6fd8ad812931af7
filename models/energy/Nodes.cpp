//===- Nodes.cpp - Process nodes and general scaling formulas -------------===//

#include "models/energy/Nodes.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <utility>

namespace npucc {

namespace {

/// Full nodes. A half node belongs to the one that the second number is the smallest of: 40 nm to
/// 45, 28 to 32, 20 to 22, 14 and 12 to 16, 6 to 7, 4 to 5.
constexpr double kNodes[] = {180, 130, 90, 65, 45, 32, 22, 16, 10, 7, 5, 3, 2};
constexpr double kSmallest[] = {150, 110, 80, 55, 36, 26, 18, 11.5, 8.5, 5.5, 3.5, 2.5, 0};

int index(double nm) {
  int i = 0;
  while (i + 1 < int(std::size(kNodes)) && nm < kSmallest[i])
    ++i;
  return i;
}

using Points = std::pair<double, double>;

/// Between two of the table's nodes geometrically.
template <size_t n> double interpolate(const Points (&table)[n], double node, double below) {
  const Points *last = std::end(table) - 1;
  if (node <= last->first)
    return last->second * std::pow(node / last->first, below);
  if (node >= table[0].first)
    return table[0].second * node / table[0].first;
  const Points *high = table;
  while ((high + 1)->first > node)
    ++high;
  const Points *low = high + 1;
  double t = std::log(node / low->first) / std::log(high->first / low->first);
  return low->second * std::pow(high->second / low->second, t);
}

} // namespace

int nodeSteps(double fromNm, double toNm) { return std::abs(index(fromNm) - index(toNm)); }

double nodeTowards(double fromNm, double toNm, int steps) {
  if (nodeSteps(fromNm, toNm) <= steps)
    return toNm;
  return kNodes[index(fromNm) + (toNm < fromNm ? steps : -steps)];
}

double nodeEnergyRatio(double fromNm, double toNm) {
  // The paper's polynomials at 0.8 V; below 7 nm the square root of the node, as Accelergy
  // extrapolates.
  static const Points kEnergy[] = {{130, 2.126}, {90, 1.315}, {65, 0.860}, {45, 0.693},
                                   {32, 0.457},  {20, 0.153}, {16, 0.120}, {14, 0.0962},
                                   {10, 0.0816}, {7, 0.0654}};
  return interpolate(kEnergy, toNm, 0.5) / interpolate(kEnergy, fromNm, 0.5);
}

double nodeAreaRatio(double fromNm, double toNm) {
  // From 45 nm, the row of the paper's matrix; below 7 nm with the node (Accelergy).
  static const Points kArea[] = {{130, 6.4}, {90, 2.8},  {65, 1.5},  {45, 1},   {32, 0.46},
                                 {20, 0.21}, {16, 0.19}, {14, 0.17}, {10, 0.1}, {7, 0.059}};
  return interpolate(kArea, toNm, 1) / interpolate(kArea, fromNm, 1);
}

} // namespace npucc
