//===- Targets.cpp - Reading models/validation ----------------------------===//

#include "simulator/validate/Targets.h"

#include "models/machine/Machine.h"
#include "simulator/validate/Kinds.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace llvm;

namespace npucc {

namespace {

constexpr StringRef kWorth[] = {"measured", "audited", "rtl", "table", "vendor-model", "simulator"};
constexpr StringRef kRoles[] = {"calibration", "test"};
/// Figures of other architectures may be off by factors.
constexpr double kLargestBound = 1e4;
/// Keys of a target that belong to every kind.
constexpr StringRef kTargetKeys[] = {"id",   "published", "role", "bound", "source",
                                     "note", "cause",     "unit", "worth"};

/// The row's own keys before those that the group gives to all.
DataNode merged(const DataNode &row, const DataNode *common) {
  DataNode result = row;
  erase_if(result.children,
           [](const DataNode &child) { return is_contained(kTargetKeys, child.key); });
  if (common)
    for (const DataNode &child : common->children)
      if (none_of(row.children, [&](const DataNode &own) { return own.key == child.key; }))
        result.children.push_back(child);
  return result;
}

Target readTarget(DataFile &file, const DataNode &node, const DataNode *common) {
  Target target;
  DataNode general;
  general.kind = DataNode::Kind::Map;
  general.line = node.line;
  general.column = node.column;
  for (const DataNode &child : node.children)
    if (is_contained(kTargetKeys, child.key))
      general.children.push_back(child);
  DataMap map(file, &general, "target");
  map.text("id", target.id);
  map.number("published", target.published, 1e-30, 1e30);
  size_t role = 1;
  map.choice("role", kRoles, role);
  target.calibration = role == 0;
  double bound = 0;
  if (map.number("bound", bound, 0, kLargestBound, DataMap::Optional))
    target.bound = bound;
  map.text("source", target.source, DataMap::Optional);
  map.text("note", target.note, DataMap::Optional);
  map.text("cause", target.cause, DataMap::Optional);
  map.text("unit", target.unit, DataMap::Optional);
  if (size_t worth = 0; map.choice("worth", kWorth, worth, DataMap::Optional))
    target.worth = kWorth[worth].str();
  target.fields = merged(node, common);
  return target;
}

/// `targets: NAME`: a set that the kind knows.
void addSet(DataFile &file, const DataNode &name, TargetGroup &group) {
  const Kind *kind = find_if(kinds(), [&](const Kind &k) { return k.name == group.kind; });
  if (kind == kinds().end())
    return;
  if (!kind->set)
    return file.error(name, "targets must be a list: " + group.kind + " has no set of its own");
  Expected<std::vector<Target>> set = kind->set(name.scalar);
  if (!set)
    return file.error(name, toString(set.takeError()));
  group.targets = std::move(*set);
}

/// What the group says of targets that stand elsewhere: causes of their errors, by id.
void addCauses(DataFile &file, DataMap causes, TargetGroup &group) {
  for (const DataNode &entry : causes.entries()) {
    auto target = find_if(group.targets, [&](const Target &t) { return t.id == entry.key; });
    if (target == group.targets.end())
      file.error(entry, "causes: there is no target '" + entry.key + "'");
    else
      causes.text(entry.key, target->cause);
  }
  causes.finish();
}

TargetGroup readGroup(DataFile &file, const DataNode &root) {
  TargetGroup group;
  DataMap map(file, &root, "");
  map.text("name", group.name);
  std::vector<StringRef> kindNames;
  for (const Kind &kind : kinds())
    kindNames.push_back(kind.name);
  size_t kind = 0, worth = 0;
  if (map.choice("kind", kindNames, kind))
    group.kind = kindNames[kind].str();
  map.text("title", group.title);
  map.text("metric", group.metric);
  map.text("unit", group.unit);
  if (map.choice("worth", kWorth, worth))
    group.worth = kWorth[worth].str();
  map.text("source", group.source);
  map.text("split", group.split, DataMap::Optional);
  map.map("measured", DataMap::Optional); // when and on what: any keys, for readers
  DataMap asked = map.map("asked", DataMap::Optional);
  if (asked.present()) {
    asked.number("mean", group.meanAsked, 0, 10, DataMap::Optional);
    asked.number("worst", group.worstAsked, 0, 10, DataMap::Optional);
    asked.number("mean_factor", group.meanFactorAsked, 1, 100, DataMap::Optional);
    asked.number("worst_factor", group.worstFactorAsked, 1, 100, DataMap::Optional);
    asked.number("inside", group.insideAsked, 0, 1, DataMap::Optional);
    asked.finish();
  }
  DataMap common = map.map("common", DataMap::Optional);
  const DataNode *list = map.find("targets");
  if (list && list->kind == DataNode::Kind::Scalar)
    addSet(file, *list, group);
  else if (list && list->kind != DataNode::Kind::List)
    file.error(*list, "targets must be a list, or the name of a set");
  StringSet<> ids;
  for (const DataNode &row : list ? ArrayRef<DataNode>(list->children) : ArrayRef<DataNode>()) {
    if (row.kind != DataNode::Kind::Map) {
      file.error(row, "a target must be a mapping of keys to values");
      continue;
    }
    Target target = readTarget(file, row, common.where());
    if (target.source.empty())
      target.source = group.source;
    if (!target.id.empty() && !ids.insert(target.id).second)
      file.error(row, "target '" + target.id + "' stands twice");
    group.targets.push_back(std::move(target));
  }
  addCauses(file, map.map("causes", DataMap::Optional), group);
  for (Target &target : group.targets) {
    if (target.unit.empty())
      target.unit = group.unit;
    if (target.worth.empty())
      target.worth = group.worth;
  }
  map.finish();
  return group;
}

std::string modelFile(StringRef folder, StringRef name) {
  SmallString<256> path(modelsFolder());
  sys::path::append(path, folder, name + ".yaml");
  return path.str().str();
}

} // namespace

Expected<std::vector<TargetGroup>> readTargets(const std::string &path) {
  Expected<std::string> text = readDataText(path);
  if (!text)
    return text.takeError();
  DataFile file(path);
  DataNode root = file.parse(*text);
  if (file.failed())
    return file.takeError();
  std::vector<TargetGroup> groups;
  DataMap map(file, &root, "");
  const DataNode *list = map.find("groups", DataMap::Optional);
  if (!list) {
    groups.push_back(readGroup(file, root));
  } else {
    map.finish();
    for (const DataNode &node : list->children)
      groups.push_back(readGroup(file, node));
  }
  for (TargetGroup &group : groups)
    group.file = path;
  if (file.failed())
    return file.takeError();
  return groups;
}

std::vector<std::string> bundledTargets() {
  std::vector<std::string> paths;
  for (StringRef folder : {"validation", "gpu/measured"})
    for (const std::string &name : listDataFiles(folder))
      paths.push_back(modelFile(folder, name));
  return paths;
}

Error readBounds(TargetGroup &group) {
  std::string path = modelFile("validation/bounds", group.name);
  if (!sys::fs::exists(path))
    return Error::success();
  Expected<std::string> text = readDataText(path);
  if (!text)
    return text.takeError();
  DataFile file(path);
  DataNode root = file.parse(*text);
  if (file.failed())
    return file.takeError();
  DataMap map(file, &root, "");
  for (Target &target : group.targets) {
    double bound = 0;
    if (map.number(target.id, bound, 0, kLargestBound, DataMap::Optional))
      target.bound = bound;
  }
  map.finish(); // bounds of targets that are gone
  return file.takeError();
}

} // namespace npucc
