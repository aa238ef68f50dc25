/// A picture, what it is drawn from, and what a reader needs to know of it.
///
/// Its files are `NAME.svg` and `NAME.png`, drawn by `NAME.gp` from `NAME….dat`. All names are ours.
struct Figure {
  /// What its files are called.
  let name: String
  /// What it shows, in a few words.
  let title: String
  /// How it was made and how to read it.
  let caption: String
  /// Pixels; the width is `width`.
  let height: Int
  /// Its data.
  let tables: [DataTable]
  /// gnuplot's commands, in which `name` is the figure's name. Ours alone: no word of them is anybody's text.
  let commands: String
  /// The same for the page's script; nil where it is too large for a page.
  var live: LiveFigure?

  /// Pixels.
  static let width = 1200

  /// The script that draws it twice.
  var script: String {
    """
    # gnuplot --default-settings \(name).gp draws \(name).svg and \(name).png
    name = '\(name)'
    do for [format in 'svg png'] {
    reset
    if (format eq 'svg') {
      set terminal svg size \(Self.width),\(height) dynamic noenhanced background '#ffffff' font 'sans-serif,17'
      small = ',14'
    } else {
      set terminal pngcairo size \(Self.width),\(height) noenhanced background '#ffffff' font 'Sans,13'
      small = ',10'
    }
    set output name.'.'.format
    set encoding utf8
    set datafile separator tab
    set datafile commentschars ''
    set datafile columnheaders
    set border lc '#777777'
    set tics nomirror out scale 0.6 textcolor '#444444'
    set grid lc '#e6e6e6' lt 1
    set key noautotitle opaque Left reverse samplen 2 spacing 1.2 textcolor '#222222'
    set style fill solid noborder
    \(Palette.commands)
    \(commands)
    unset output
    }

    """
  }
}

/// Colours that people who see fewer of them can tell apart.
enum Palette {
  /// Okabe and Ito's categorical colours, the lightest left out: blue, vermilion, green, purple, orange, sky, black.
  /// Okabe & Ito, "Color Universal Design", 2008.
  static let categories = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000",
  ]

  /// What is trained, or the only thing there is.
  static let main = categories[0]
  /// What it is compared with: random weights, a fit.
  static let other = categories[1]
  /// Missing, or true by definition.
  static let blank = "#dddddd"

  /// Colour i, from the beginning again when there are no more.
  static func category(_ i: Int) -> String { categories[i % categories.count] }

  /// Viridis, even to the eye from dark to light: van der Walt and Smith, matplotlib 1.5, 2015.
  static let commands =
    "set palette defined (0 '#440154', 1 '#472d7b', 2 '#3b528b', 3 '#2c728e', 4 '#21918c', "
    + "5 '#28ae80', 6 '#5ec962', 7 '#addc30', 8 '#fde725')"
}
