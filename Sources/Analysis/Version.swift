/// The version of Krylens, written into every result.
public let krylensVersion = "0.2.0"
