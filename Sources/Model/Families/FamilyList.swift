extension FamilyDefinition {
  /// All supported families, each defined in a file of its own in this folder. Messages list them in this order.
  static let builtIn: [FamilyDefinition] = [
    .llama, .qwen2, .qwen3, .gemma, .gemma2, .gemma3, .olmo, .olmo2, .phi3, .mixtral,
    .gptOSS, .qwen2MoE, .qwen3MoE, .olmoe, .deepSeekV2, .deepSeekV3, .glm4MoE, .llama4,
    .graniteMoE, .miniMaxM2, .ernie45MoE, .phiMoE,
    .gemma4, .olmo3, .smolLM3, .ministral3, .exaone4,
    .granite, .glm, .glm4, .cohere, .cohere2, .seedOSS, .ernie, .arcee, .nemotron, .apertus,
    .hunyuan, .helium, .nanoChat, .persimmon, .starCoder2, .gptBigCode, .codeGen,
    .gpt2, .gptNeo, .gptNeoX, .gptJ, .phi, .opt, .bloom, .mpt, .falcon, .stableLM,
    .qwen3_5, .qwen3_5MoE, .qwen3Next, .lfm2, .lfm2MoE, .mamba, .falconH1, .nemotronH,
    .graniteMoEHybrid,
    .t5, .bart, .bert, .roberta, .distilBERT, .electra, .mpnet, .nomicBERT, .modernBERT,
    .clipText, .clipVision, .siglipVision, .vit, .dinov2,
  ]
}
