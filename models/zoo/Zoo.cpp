//===- Zoo.cpp - Reading zoo.yaml and building what it names ------------------===//

#include "models/zoo/Zoo.h"

#include "models/machine/Machine.h"
#include "models/zoo/Families.h"
#include "runtime/onnx/Loader.h"
#include "runtime/onnx/Sha256.h"

#include "llvm/ADT/StringSwitch.h"

using namespace npucc;
using namespace npucc::zoo;
using llvm::StringRef;

namespace {

constexpr int64_t kMaxTotal = int64_t(1) << 60;

Family familyOf(StringRef name) {
  return llvm::StringSwitch<Family>(name)
      .Case("resnet", buildResnet)
      .Case("mobilenet_v2", buildMobilenetV2)
      .Case("bert", buildBert)
      .Case("vit", buildVit)
      .Case("llama", buildLlama)
      .Case("gpt", buildGpt)
      .Case("sd_unet", buildSdUnet)
      .Case("flux", buildFlux)
      .Default(nullptr);
}

/// {batch: 1, seq: 384}
void readDims(DataFile &file, DataMap map, std::map<std::string, int64_t> &dims) {
  for (const DataNode &entry : map.entries()) {
    double size = 0;
    if (readNumber(file, entry, "dimension " + entry.key, 0, 1e9, size))
      dims[entry.key] = static_cast<int64_t>(size);
    map.find(entry.key);
  }
  map.finish();
}

void readTotals(DataFile &file, DataMap &entry, ZooNetwork &network) {
  const DataNode *list = entry.find("totals");
  if (!list)
    return;
  if (list->kind != DataNode::Kind::List)
    return file.error(*list, "totals must be a list");
  for (const DataNode &each : list->children) {
    DataMap map(file, &each, "totals");
    ZooTotal total;
    readDims(file, map.map("dims"), total.dims);
    map.integer("macs", total.macs, 1, kMaxTotal);
    map.finish();
    network.totals.push_back(std::move(total));
  }
}

void readNetwork(DataFile &file, const DataNode &node, ZooNetwork &network) {
  DataMap entry(file, &node, network.name);
  std::string family, type;
  entry.text("title", network.title);
  entry.text("source", network.source);
  entry.integer("parameters", network.parameters, 1, kMaxTotal);
  readDims(file, entry.map("dims"), network.defaultDims);
  readTotals(file, entry, network);
  entry.text("family", family);
  entry.text("type", type);
  DataMap config = entry.map("config");
  Family build = familyOf(family);
  std::optional<ElementType> elements = parseElementType(type);
  if (!build)
    file.error(node, "there is no family '" + family + "'");
  if (!elements || !isFloat(*elements))
    file.error(node, "type must be fp32, fp16 or bf16, not '" + type + "'");
  entry.finish();
  if (file.failed())
    return;
  NetworkBuilder builder(network.model.graph, *elements);
  network.model.graph.name = network.name;
  build(builder, config);
  config.finish();
}

llvm::Expected<std::string> zooText() {
  return readDataText(modelsFolder() + "/networks/zoo.yaml");
}

} // namespace

StringRef npucc::zooName(StringRef path) { return path.consume_front("zoo:") ? path : StringRef(); }

llvm::Expected<std::vector<std::string>> npucc::listZoo() {
  llvm::Expected<std::string> text = zooText();
  if (!text)
    return text.takeError();
  DataFile file("zoo.yaml");
  DataNode root = file.parse(*text);
  std::vector<std::string> names;
  for (const DataNode &entry : root.children)
    names.push_back(entry.key);
  if (llvm::Error error = file.takeError())
    return std::move(error);
  return names;
}

llvm::Expected<ZooNetwork> npucc::buildZoo(StringRef name) {
  llvm::Expected<std::string> text = zooText();
  if (!text)
    return text.takeError();
  DataFile file("zoo.yaml");
  DataNode root = file.parse(*text);
  if (file.failed())
    return file.takeError();
  ZooNetwork network;
  network.name = name.str();
  const DataNode *found = nullptr;
  std::vector<std::string> names;
  for (const DataNode &entry : root.children) {
    names.push_back(entry.key);
    if (entry.key == name)
      found = &entry;
  }
  if (!found)
    return llvm::createStringError("the zoo has no network '%s'%s; see --list-zoo",
                                   network.name.c_str(), suggestion(name, names).c_str());
  readNetwork(file, *found, network);
  if (llvm::Error error = file.takeError())
    return std::move(error);
  network.model.path = "zoo:" + network.name;
  network.model.producer = "npucc zoo";
  network.model.irVersion = 11;
  network.model.opset = 23;
  network.model.sha256 = sha256Hex(*text + network.name);
  network.model.parameters = countWeights(network.model.graph);
  return network;
}
