//===- Estimate.cpp - The energy of a component from published rows -------===//

#include "models/energy/Estimate.h"

#include "models/energy/Nodes.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"

#include <algorithm>
#include <climits>
#include <cmath>
#include <cstdio>
#include <map>

using namespace llvm;

namespace npucc {

namespace {

// Standard deviations, of logarithms. Tables of the same thing differ among themselves: the 32-bit
// multiplier of 45 and 40 nm alone is 3.1, 6.2 or 8.6 pJ, the adder 0.10, 0.06 or 0.09.
constexpr double kBetweenTables = 0.35;
constexpr double kWithinTable = 0.2;    ///< rows of one table around the rule
constexpr double kPerSize = 0.15;       ///< the rule's error for each factor e of size
constexpr double kPerGeneration = 0.15; ///< and for each generation
/// Of a normal distribution: 5 % lie beyond on each side.
constexpr double kInterval = 1.645;
/// Nodes are measured from here, so that offset and slope of the rule are almost independent.
constexpr double kReferenceNm = 18;

double reference(Size size) {
  static const double kReferences[] = {8, 11, 64, 64, 6};
  return kReferences[static_cast<size_t>(size)];
}

double logSize(const Sizes &sizes, Size size) {
  return sizes[size] > 0 ? std::log(sizes[size] / reference(size)) : 0;
}

double logNode(double nodeNm) { return std::log(nodeNm / kReferenceNm); }

using Vector = SmallVector<double, 4>;

/// Gaussian elimination of a small, positive definite system.
Vector solve(std::vector<Vector> a, Vector b) {
  size_t n = b.size();
  for (size_t i = 0; i < n; ++i)
    for (size_t j = i + 1; j < n; ++j) {
      double factor = a[j][i] / a[i][i];
      for (size_t k = i; k < n; ++k)
        a[j][k] -= factor * a[i][k];
      b[j] -= factor * b[i];
    }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; ++k)
      b[i] -= a[i][k] * b[k];
    b[i] /= a[i][i];
  }
  return b;
}

/// The fitted rule of one class.
class Rule {
public:
  Rule(const ComponentClass &c, ArrayRef<const LibraryRow *> rows) : c(c) {
    for (const ComponentClass::Exponent &e : c.exponents) {
      slopes.push_back(e.expected);
      tolerances.push_back(e.tolerance);
    }
    slopes.push_back(c.nodeExponent);
    tolerances.push_back(c.nodeTolerance);
    if (c.sizeScalesWithNode) {
      slopes.push_back(0);
      tolerances.push_back(0.3);
    }
    fit(rows);
  }

  /// ln of the component's figure over the row's, before the voltage.
  double logRatio(const LibraryRow &from, const Sizes &sizes, double nodeNm) const {
    Vector a = features(from.sizes, from.nodeNm), b = features(sizes, nodeNm);
    double sum = 0;
    for (size_t i = 0; i < slopes.size(); ++i)
      sum += slopes[i] * (b[i] - a[i]);
    return sum;
  }

  std::string text() const {
    std::string result;
    auto add = [&](const std::string &name, double value) {
      char buffer[64];
      snprintf(buffer, sizeof buffer, "%s%s^%.2f", result.empty() ? "" : " x ", name.c_str(),
               value);
      result += buffer;
    };
    size_t i = 0;
    for (const ComponentClass::Exponent &e : c.exponents)
      add(sizeName(e.size), slopes[i++]);
    add("node", slopes[i++]);
    if (c.sizeScalesWithNode)
      add(std::string("exp(ln ") + sizeName(c.exponents[0].size) + " ln node)", slopes[i]);
    if (c.voltageExponent > 0)
      add("V", c.voltageExponent);
    return result;
  }

private:
  const ComponentClass &c;
  Vector slopes, tolerances;

  Vector features(const Sizes &sizes, double nodeNm) const {
    Vector x;
    for (const ComponentClass::Exponent &e : c.exponents)
      x.push_back(logSize(sizes, e.size));
    x.push_back(logNode(nodeNm));
    if (c.sizeScalesWithNode)
      x.push_back(x[0] * logNode(nodeNm));
    return x;
  }

  /// Least squares around the expected exponents; each series has an offset of its own, so that
  /// only differences within a series count.
  void fit(ArrayRef<const LibraryRow *> rows) {
    std::map<std::string, std::vector<const LibraryRow *>> series;
    for (const LibraryRow *row : rows)
      series[row->series].push_back(row);
    size_t n = slopes.size();
    std::vector<Vector> normal(n, Vector(n, 0.0));
    Vector right(n, 0.0);
    for (size_t i = 0; i < n; ++i) {
      normal[i][i] = 1 / (tolerances[i] * tolerances[i]);
      right[i] = slopes[i] * normal[i][i];
    }
    for (const auto &[name, members] : series) {
      Vector mean(n, 0.0);
      double meanY = 0;
      std::vector<std::pair<Vector, double>> points;
      for (const LibraryRow *row : members) {
        double y = std::log(row->value) - c.voltageExponent * std::log(row->voltageV);
        points.push_back({features(row->sizes, row->nodeNm), y});
        for (size_t i = 0; i < n; ++i)
          mean[i] += points.back().first[i] / double(members.size());
        meanY += y / double(members.size());
      }
      constexpr double kWeight = 1 / (kWithinTable * kWithinTable);
      for (const auto &[x, y] : points)
        for (size_t i = 0; i < n; ++i) {
          for (size_t j = 0; j < n; ++j)
            normal[i][j] += kWeight * (x[i] - mean[i]) * (x[j] - mean[j]);
          right[i] += kWeight * (x[i] - mean[i]) * (y - meanY);
        }
    }
    slopes = solve(std::move(normal), std::move(right));
  }
};

/// ln of a row's own uncertainty, as a standard deviation.
double ownDeviation(const LibraryRow &row) { return std::log(row.high / row.low) / 2 / kInterval; }

bool isSolid(const LibraryRow &row) {
  return row.provenance == "read" || row.provenance == "confirmed";
}

/// The estimate of one component, built up in steps.
class Estimator {
public:
  Estimator(const ComponentClass &c, ArrayRef<const LibraryRow *> all, Estimate &out)
      : c(c), rule(c, all), out(out) {
    choose(all);
  }

  void run() {
    vote();
    interval();
    describe();
  }

private:
  const ComponentClass &c;
  Rule rule;
  Estimate &out;
  std::vector<const LibraryRow *> anchors;
  bool exact = false;
  double scaledNm = 0; ///< what the rule scales to
  double variance = 0; ///< without generations

  /// The component's own rows, or all of the nearest node.
  void choose(ArrayRef<const LibraryRow *> all) {
    for (const LibraryRow *row : all)
      if (row->nodeNm == out.nodeNm && row->sizes == out.sizes)
        anchors.push_back(row);
    exact = !anchors.empty();
    out.generations = exact ? 0 : INT_MAX;
    if (!exact)
      for (const LibraryRow *row : all)
        out.generations = std::min(out.generations, nodeSteps(row->nodeNm, out.nodeNm));
    if (!exact)
      for (const LibraryRow *row : all)
        if (nodeSteps(row->nodeNm, out.nodeNm) == out.generations)
          anchors.push_back(row);
    out.limited = !c.area && out.generations > kMostGenerations;
    scaledNm =
        out.limited ? nodeTowards(anchors[0]->nodeNm, out.nodeNm, kMostGenerations) : out.nodeNm;
  }

  double logVoltage(const LibraryRow &row) const {
    return c.voltageExponent * std::log(out.voltageV / row.voltageV);
  }

  double distance(const LibraryRow &row) const {
    double sum = 0;
    for (const ComponentClass::Exponent &e : c.exponents) {
      double d = logSize(out.sizes, e.size) - logSize(row.sizes, e.size);
      sum += d * d;
    }
    return sum;
  }

  /// Each series has one vote, made of its rows: the nearer in size, the heavier. A series is off
  /// as a whole by kBetweenTables.
  void vote() {
    std::map<std::string, std::vector<size_t>> series;
    std::vector<double> variances;
    for (size_t i = 0; i < anchors.size(); ++i) {
      double own = ownDeviation(*anchors[i]);
      variances.push_back(own * own + kPerSize * kPerSize * distance(*anchors[i]));
      series[anchors[i]->series].push_back(i);
    }
    std::vector<double> weights(anchors.size(), 0);
    double all = 0;
    for (const auto &[name, members] : series) {
      constexpr double kNearest = 0.01;
      double sum = 0, mean = 0;
      for (size_t i : members)
        sum += 1 / (variances[i] + kNearest);
      for (size_t i : members) {
        weights[i] = 1 / (variances[i] + kNearest) / sum;
        mean += weights[i] * variances[i];
      }
      double weight = 1 / (kBetweenTables * kBetweenTables + mean);
      for (size_t i : members)
        weights[i] *= weight;
      all += weight;
      variance += weight * (kBetweenTables * kBetweenTables + mean);
    }
    variance /= all;
    double log = 0;
    for (size_t i = 0; i < anchors.size(); ++i) {
      const LibraryRow &row = *anchors[i];
      double moved =
          std::log(row.value) + rule.logRatio(row, out.sizes, scaledNm) + logVoltage(row);
      out.votes.push_back({&row, std::exp(moved), weights[i] / all});
      log += moved * weights[i] / all;
    }
    out.value = std::exp(log);
    stable_sort(out.votes, [](const Estimate::Vote &a, const Estimate::Vote &b) {
      return a.weight > b.weight;
    });
  }

  void interval() {
    double steps = kPerGeneration * std::min(out.generations, kMostGenerations);
    double deviation = std::sqrt(variance + steps * steps);
    out.low = out.value * std::exp(-kInterval * deviation);
    out.high = out.value * std::exp(kInterval * deviation);
    if (c.area || out.generations == 0)
      return;
    auto reach = [&](double value) {
      out.low = std::min(out.low, value);
      out.high = std::max(out.high, value);
    };
    // The general formula gains more from a smaller node than any published pair of tables; and
    // what was not scaled all the way may have gained the rest.
    const LibraryRow &row = *out.votes[0].row;
    double sameNode =
        std::log(row.value) + rule.logRatio(row, out.sizes, row.nodeNm) + logVoltage(row);
    if (c.voltageExponent == 2)
      reach(std::exp(sameNode) * nodeEnergyRatio(row.nodeNm, out.nodeNm));
    if (out.limited)
      reach(std::exp(std::log(row.value) + rule.logRatio(row, out.sizes, out.nodeNm) +
                     logVoltage(row)));
  }

  void describe() {
    double solid = 0;
    for (const Estimate::Vote &v : out.votes)
      solid += isSolid(*v.row) ? v.weight : 0;
    bool mostlySolid = solid > 0.5;
    out.confidence = !mostlySolid || out.generations > 1 ? "low" : exact ? "high" : "medium";
    out.rule = exact ? "looked up" : rule.text();
    if (exact && out.votes[0].row->voltageV != out.voltageV && c.voltageExponent > 0) {
      char buffer[32];
      snprintf(buffer, sizeof buffer, ", x V^%g", c.voltageExponent);
      out.rule += buffer;
    }
  }
};

} // namespace

std::string Estimate::source() const {
  constexpr size_t kNamed = 3;
  std::string text = rule + (limited ? ", over 2 of " + std::to_string(generations) + " generations"
                                     : std::string());
  text += rule.compare(0, 9, "looked up") == 0 ? ": " : ", from ";
  std::vector<std::string> sources;
  for (size_t i = 0; i < std::min(votes.size(), kNamed); ++i) {
    const LibraryRow &row = *votes[i].row;
    text += (i ? "; " : "") + row.name() + (row.note.empty() ? "" : " (" + row.note + ")");
    if (!is_contained(sources, row.source))
      sources.push_back(row.source);
  }
  if (votes.size() > kNamed)
    text += " and " + std::to_string(votes.size() - kNamed) + " more";
  text += " [";
  for (size_t i = 0; i < sources.size(); ++i)
    text += (i ? "; " : "") + sources[i];
  return text + "]";
}

Expected<Estimate> estimate(ArrayRef<LibraryRow> rows, StringRef className, const Sizes &sizes,
                            double nodeNm, double voltageV, const LibraryRow *without) {
  const ComponentClass *c = findComponentClass(className);
  if (!c)
    return createStringError("no rule for components of class '" + className + "'");
  std::vector<const LibraryRow *> used;
  for (const LibraryRow &row : rows)
    if (row.className == className && !row.check && &row != without)
      used.push_back(&row);
  if (used.empty())
    return createStringError("the library of energies has no row of class '" + className + "'");
  Estimate result;
  result.className = className.str();
  result.unit = used[0]->unit;
  result.sizes = sizes;
  result.nodeNm = nodeNm;
  result.voltageV = voltageV;
  Estimator(*c, used, result).run();
  return result;
}

} // namespace npucc
