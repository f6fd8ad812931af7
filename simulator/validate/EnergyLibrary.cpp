//===- EnergyLibrary.cpp - Published energies of components ---------------===//
//
// row: the id of a row of models/technology/library, which is estimated from the other rows; or a
// component that somebody else published: class, its sizes (bits, significand, kib, width_bits,
// cycle_ns), node_nm, voltage_v.
// Sets: `rows`, what estimates are made of; `checks`, what is only compared with them.
//
//===----------------------------------------------------------------------===//

#include "models/energy/LeaveOneOut.h"
#include "simulator/validate/Evaluators.h"

#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace npucc {

namespace {

Expected<LeftOut> findRow(const std::string &id) {
  Expected<const std::vector<LibraryRow> *> rows = energyLibrary();
  if (!rows)
    return rows.takeError();
  for (LibraryRows which : {LibraryRows::Fitted, LibraryRows::Checks}) {
    Expected<std::vector<LeftOut>> all = leaveOneOut(**rows, which);
    if (!all)
      return all.takeError();
    for (LeftOut &left : *all)
      if (left.id == id)
        return std::move(left);
  }
  return createStringError("the library of energies has no row '" + id + "'");
}

Figure figure(const Estimate &estimate) {
  Figure figure;
  figure.value = estimate.value;
  figure.low = estimate.low;
  figure.high = estimate.high;
  return figure;
}

} // namespace

Expected<Figure> energyLibraryRow(Fields &fields, Networks &) {
  std::string row, className;
  Sizes sizes;
  double node = 0, voltage = 0;
  if (!fields.text("row", row, DataMap::Optional)) {
    fields.text("class", className);
    for (size_t i = 0; i < kSizes; ++i)
      fields.number(sizeName(static_cast<Size>(i)), sizes.values[i], 1e-6, 1e12, DataMap::Optional);
    fields.number("node_nm", node, 0.1, 1000);
    fields.number("voltage_v", voltage, 0.1, 5);
  }
  if (Error error = fields.done())
    return std::move(error);
  if (!row.empty()) {
    Expected<LeftOut> found = findRow(row);
    if (!found)
      return found.takeError();
    return figure(found->estimate);
  }
  Expected<const std::vector<LibraryRow> *> rows = energyLibrary();
  if (!rows)
    return rows.takeError();
  Expected<Estimate> found = estimate(**rows, className, sizes, node, voltage);
  if (!found)
    return found.takeError();
  return figure(*found);
}

Expected<std::vector<Target>> energyLibrarySet(StringRef name) {
  if (name != "rows" && name != "checks")
    return createStringError("the library of energies has no set '" + name +
                             "'; it has rows and checks");
  Expected<const std::vector<LibraryRow> *> rows = energyLibrary();
  if (!rows)
    return rows.takeError();
  Expected<std::vector<LeftOut>> all =
      leaveOneOut(**rows, name == "rows" ? LibraryRows::Fitted : LibraryRows::Checks);
  if (!all)
    return all.takeError();
  std::vector<Target> targets;
  for (const LeftOut &left : *all) {
    Target target;
    target.id = left.id;
    target.published = left.row->value;
    target.unit = left.row->unit;
    target.source = left.row->source + " (" + left.row->provenance + ")";
    target.note = left.row->note;
    DataNode row;
    row.kind = DataNode::Kind::Scalar;
    row.key = "row";
    row.scalar = left.id;
    target.fields.kind = DataNode::Kind::Map;
    target.fields.children.push_back(std::move(row));
    targets.push_back(std::move(target));
  }
  return targets;
}

} // namespace npucc
