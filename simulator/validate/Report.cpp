//===- Report.cpp - Validation as text, JSON and Markdown -----------------===//

#include "simulator/report/Format.h"
#include "simulator/validate/Validate.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"

#include <cmath>
#include <cstdio>

using namespace llvm;

namespace npucc {

namespace {

/// "+12.3 %".
std::string signedPercent(double fraction) {
  char buffer[32];
  snprintf(buffer, sizeof buffer, "%+.1f %%", fraction * 100);
  return buffer;
}

std::string plainPercent(double fraction) {
  char buffer[32];
  snprintf(buffer, sizeof buffer, "%.1f %%", fraction * 100);
  return buffer;
}

/// "2.36 ms" for units that take a prefix, "9369 samples/s" for others, "0.91" for shares.
std::string quantity(double value, StringRef unit) {
  if (unit == "s" || unit == "J" || unit == "B/s")
    return si(value, unit);
  if (unit == "1")
    return significant(value);
  return significant(value) + " " + unit.str();
}

StringRef roleName(const Target &target) { return target.calibration ? "calibration" : "test"; }

/// "1.13 x".
std::string factorText(double factor) {
  char buffer[32];
  snprintf(buffer, sizeof buffer, "%.2f x", factor);
  return buffer;
}

std::string asked(const TargetGroup &group) {
  std::vector<std::string> factors;
  if (group.meanFactorAsked > 0)
    factors.push_back("geometric mean " + factorText(group.meanFactorAsked));
  if (group.worstFactorAsked > 0)
    factors.push_back("worst " + factorText(group.worstFactorAsked));
  if (group.insideAsked > 0)
    factors.push_back(plainPercent(group.insideAsked) + " inside");
  if (!factors.empty())
    return join(factors, ", ");
  std::string text;
  if (group.meanAsked > 0)
    text = "mean " + plainPercent(group.meanAsked);
  if (group.worstAsked > 0)
    text += (text.empty() ? "worst " : ", worst ") + plainPercent(group.worstAsked);
  return text.empty() ? "-" : text;
}

std::string errorText(const TargetGroup &group, const GroupResult::Errors &errors) {
  if (errors.count == 0)
    return "-";
  std::string text = group.byFactor()
                         ? factorText(errors.meanFactor) + " / " + factorText(errors.worstFactor)
                         : plainPercent(errors.mean) + " / " + plainPercent(errors.worst);
  if (errors.intervals > 0)
    text += ", " + std::to_string(errors.inside) + " inside";
  return text;
}

/// Text for a cell of a Markdown table.
std::string cell(StringRef text) {
  std::string result;
  for (char c : text)
    result += c == '|' ? std::string("\\|") : std::string(1, c);
  return result;
}

void summaryTable(raw_ostream &os, ArrayRef<GroupResult> groups) {
  os << "| group | what it is worth | calibration: n, mean / worst | test: n, mean / worst | asked "
        "| "
        "met |\n|---|---|---|---|---|---|\n";
  for (const GroupResult &group : groups) {
    GroupResult::Errors fitted = group.errors(true), tested = group.errors(false);
    bool any = asked(group.group) != "-";
    os << "| " << cell(group.group.title) << " | " << group.group.worth << " | " << fitted.count
       << ", " << errorText(group.group, fitted) << " | " << tested.count << ", "
       << errorText(group.group, tested) << " | " << asked(group.group) << " | "
       << (!any              ? "-"
           : group.asAsked() ? "yes"
                             : "**no**")
       << " |\n";
  }
}

void worstTable(raw_ostream &os, ArrayRef<Worst> entries) {
  os << "| target | published | ours | error | cause |\n|---|---|---|---|---|\n";
  for (const Worst &entry : entries) {
    const Target &target = *entry.result->target;
    os << "| " << entry.group->group.name << "/" << target.id << " | "
       << quantity(target.published, target.unit) << " | "
       << quantity(entry.result->ours, target.unit) << " | " << signedPercent(entry.result->error())
       << " | " << cell(target.cause) << " |\n";
  }
}

} // namespace

void printText(raw_ostream &os, ArrayRef<GroupResult> groups) {
  for (const GroupResult &result : groups) {
    const TargetGroup &group = result.group;
    os << group.title << " (" << group.metric << ")\n";
    TextTable table("lrrrlll");
    table.add({"target", "published", "ours", "error", "role", "worth", "source"});
    for (const TargetResult &row : result.results)
      table.add({row.target->id, quantity(row.target->published, row.target->unit),
                 quantity(row.ours, row.target->unit),
                 signedPercent(row.error()) + (row.kept() ? "" : " !"), roleName(*row.target).str(),
                 row.target->worth, fit(row.target->source, 60)});
    table.print(os, 2);
    for (bool calibration : {true, false}) {
      GroupResult::Errors errors = result.errors(calibration);
      if (errors.count == 0)
        continue;
      os << "  " << (calibration ? "calibration" : "test") << ": mean error "
         << plainPercent(errors.mean) << ", worst " << plainPercent(errors.worst);
      if (group.byFactor())
        os << "; factors: geometric mean " << factorText(errors.meanFactor) << ", worst "
           << factorText(errors.worstFactor);
      if (errors.intervals > 0)
        os << "; " << errors.inside << " of " << errors.intervals << " inside of our interval";
      os << '\n';
    }
    if (asked(group) != "-")
      os << "  asked: " << asked(group) << (result.asAsked() ? ": met\n" : ": NOT met\n");
    os << '\n';
  }
  os << "Worst errors\n";
  TextTable table("lrl");
  table.add({"target", "error", "cause"});
  for (const Worst &entry : worst(groups, 5))
    table.add({entry.group->group.name + "/" + entry.result->target->id,
               signedPercent(entry.result->error()), fit(entry.result->target->cause, 100)});
  table.print(os, 2);
}

void printJson(raw_ostream &os, ArrayRef<GroupResult> groups) {
  json::OStream json(os, /*IndentSize=*/2);
  json.object([&] {
    json.attribute("schema", 1);
    json.attributeArray("groups", [&] {
      for (const GroupResult &result : groups)
        json.object([&] {
          const TargetGroup &group = result.group;
          json.attribute("name", group.name);
          json.attribute("kind", group.kind);
          json.attribute("title", group.title);
          json.attribute("metric", group.metric);
          json.attribute("unit", group.unit);
          json.attribute("worth", group.worth);
          for (bool calibration : {true, false}) {
            GroupResult::Errors errors = result.errors(calibration);
            json.attributeObject(calibration ? "calibration" : "test", [&] {
              json.attribute("count", int64_t(errors.count));
              json.attribute("mean_error", errors.mean);
              json.attribute("worst_error", errors.worst);
              json.attribute("geometric_mean_factor", errors.meanFactor);
              json.attribute("worst_factor", errors.worstFactor);
              json.attribute("intervals", int64_t(errors.intervals));
              json.attribute("inside_interval", int64_t(errors.inside));
            });
          }
          json.attribute("as_asked", result.asAsked());
          json.attributeArray("targets", [&] {
            for (const TargetResult &row : result.results)
              json.object([&] {
                json.attribute("id", row.target->id);
                json.attribute("role", roleName(*row.target));
                json.attribute("published", row.target->published);
                json.attribute("ours", row.ours);
                if (row.hasInterval())
                  json.attributeArray("interval", [&] {
                    json.value(row.low);
                    json.value(row.high);
                  });
                json.attribute("unit", row.target->unit);
                json.attribute("worth", row.target->worth);
                json.attribute("error", row.error());
                if (row.target->bound)
                  json.attribute("bound", *row.target->bound);
                json.attribute("kept", row.kept());
                json.attribute("source", row.target->source);
                json.attribute("note", row.note.empty() ? row.target->note : row.note);
                json.attribute("cause", row.target->cause);
              });
          });
        });
    });
  });
  os << '\n';
}

void printMarkdown(raw_ostream &os, ArrayRef<GroupResult> groups) {
  os << "# Validation\n\n"
        "Written by `npu-validate --markdown`; a test compares it with what the tool says today. "
        "Every figure\nstands beside one that somebody published. "
        "Constants were fitted to calibration targets only; tests say what the\n"
        "models are worth. An error is ours over published, less one.\n\n## Summary\n\n";
  summaryTable(os, groups);
  os << "\nWhat a target is worth: *measured* on silicon; *audited*, a result that an independent "
        "body checked;\n*rtl*, a simulation of the hardware's own description; *table*, a table of "
        "a publication or data sheet, whose\nown origin (silicon, synthesis, a model) differs from "
        "row to row; *vendor-model*; "
        "*simulator*, somebody else's.\n\n"
        "## The five worst errors\n\n";
  worstTable(os, worst(groups, 5));
  os << "\nThe worst of each group:\n\n";
  worstTable(os, worstOfEach(groups));
  for (const GroupResult &result : groups) {
    const TargetGroup &group = result.group;
    os << "\n## " << group.title << "\n\nMetric: " << group.metric << ". Source: " << group.source
       << ".\n";
    if (!group.split.empty())
      os << "Split: " << group.split << ".\n";
    os << "\n| target | role | published | ours | error | notes |\n|---|---|---|---|---|---|\n";
    for (const TargetResult &row : result.results) {
      std::string notes = row.target->note;
      for (StringRef more : {StringRef(row.note), StringRef(row.target->cause)})
        if (!more.empty())
          notes += (notes.empty() ? "" : "; ") + more.str();
      if (row.target->source != group.source)
        notes += (notes.empty() ? "" : "; ") + row.target->source;
      if (row.hasInterval() && !row.inside())
        notes += (notes.empty() ? "" : "; ") + std::string("outside of our interval");
      if (row.target->worth != group.worth)
        notes = row.target->worth + (notes.empty() ? "" : "; ") + notes;
      os << "| " << row.target->id << " | " << roleName(*row.target) << " | "
         << quantity(row.target->published, row.target->unit) << " | "
         << quantity(row.ours, row.target->unit) << " | " << signedPercent(row.error()) << " | "
         << cell(notes) << " |\n";
    }
  }
}

void printBounds(raw_ostream &os, const GroupResult &group) {
  os << "# Absolute errors that ./test lets pass: written by `npu-validate --record-bounds`.\n";
  for (const TargetResult &row : group.results) {
    char buffer[32];
    // One to two points of room: constants change for other reasons, too. What is exact stays so.
    double bound = row.error() == 0 ? 0 : std::ceil(std::fabs(row.error()) * 100 + 1) / 100;
    snprintf(buffer, sizeof buffer, "%.2f", bound);
    os << row.target->id << ": " << buffer << '\n';
  }
}

} // namespace npucc
