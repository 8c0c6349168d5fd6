"""Write the demo data set anew: ``python tools/make_demo_data.py [DIR]``."""

import argparse

from lighthead.data.demo import write_demo

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('root', nargs='?', default='data/demo', help='folder to write to')
    write_demo(parser.parse_args().root)
