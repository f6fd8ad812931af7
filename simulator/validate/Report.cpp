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

/// "2.36 ms" for units that take a prefix, "9369 samples/s" for others.
std::string quantity(double value, StringRef unit) {
  if (unit == "s" || unit == "J")
    return si(value, unit);
  return significant(value) + " " + unit.str();
}

StringRef roleName(const Target &target) { return target.calibration ? "calibration" : "test"; }

std::string asked(const TargetGroup &group) {
  std::string text;
  if (group.meanAsked > 0)
    text = "mean " + plainPercent(group.meanAsked);
  if (group.worstAsked > 0)
    text += (text.empty() ? "worst " : ", worst ") + plainPercent(group.worstAsked);
  return text.empty() ? "-" : text;
}

std::string errorText(const GroupResult::Errors &errors) {
  if (errors.count == 0)
    return "-";
  return plainPercent(errors.mean) + " / " + plainPercent(errors.worst);
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
    bool any = group.group.meanAsked > 0 || group.group.worstAsked > 0;
    os << "| " << cell(group.group.title) << " | " << group.group.worth << " | " << fitted.count
       << ", " << errorText(fitted) << " | " << tested.count << ", " << errorText(tested) << " | "
       << asked(group.group) << " | "
       << (!any              ? "-"
           : group.asAsked() ? "yes"
                             : "**no**")
       << " |\n";
  }
}

} // namespace

void printText(raw_ostream &os, ArrayRef<GroupResult> groups) {
  for (const GroupResult &result : groups) {
    const TargetGroup &group = result.group;
    os << group.title << " (" << group.metric << "; " << group.worth << ")\n";
    TextTable table("lrrrll");
    table.add({"target", "published", "ours", "error", "role", "source"});
    for (const TargetResult &row : result.results)
      table.add({row.target->id, quantity(row.target->published, group.unit),
                 quantity(row.ours, group.unit),
                 signedPercent(row.error()) + (row.kept() ? "" : " !"), roleName(*row.target).str(),
                 fit(row.target->source, 60)});
    table.print(os, 2);
    for (bool calibration : {true, false}) {
      GroupResult::Errors errors = result.errors(calibration);
      if (errors.count > 0)
        os << "  " << (calibration ? "calibration" : "test") << ": mean error "
           << plainPercent(errors.mean) << ", worst " << plainPercent(errors.worst) << '\n';
    }
    if (group.meanAsked > 0 || group.worstAsked > 0)
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
        "body checked;\n*rtl*, a simulation of the hardware's own description; *vendor-model*; "
        "*simulator*, somebody else's.\n\n"
        "## The five worst errors\n\n| target | published | ours | error | cause |\n"
        "|---|---|---|---|---|\n";
  for (const Worst &entry : worst(groups, 5)) {
    const Target &target = *entry.result->target;
    StringRef unit = entry.group->group.unit;
    os << "| " << entry.group->group.name << "/" << target.id << " | "
       << quantity(target.published, unit) << " | " << quantity(entry.result->ours, unit) << " | "
       << signedPercent(entry.result->error()) << " | " << cell(target.cause) << " |\n";
  }
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
      os << "| " << row.target->id << " | " << roleName(*row.target) << " | "
         << quantity(row.target->published, group.unit) << " | " << quantity(row.ours, group.unit)
         << " | " << signedPercent(row.error()) << " | " << cell(notes) << " |\n";
    }
  }
}

void printBounds(raw_ostream &os, const GroupResult &group) {
  os << "# Absolute errors that ./test lets pass: written by `npu-validate --record-bounds`.\n";
  for (const TargetResult &row : group.results) {
    char buffer[32];
    // One to two points of room: constants change for other reasons, too.
    snprintf(buffer, sizeof buffer, "%.2f", std::ceil(std::fabs(row.error()) * 100 + 1) / 100);
    os << row.target->id << ": " << buffer << '\n';
  }
}

} // namespace npucc
